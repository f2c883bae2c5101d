//! One TCP segment over IPv4 or IPv6, as bytes.
//!
//! Takes and gives whole packets. Never computes what a kernel would refuse: checksums are
//! always right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Control bits.
pub const FIN: u8 = 1;
/// Control bits.
pub const SYN: u8 = 2;
/// Control bits.
pub const RST: u8 = 4;
/// Control bits.
pub const ACK: u8 = 16;
const PSH: u8 = 8;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// What an ICMP error says of a segment that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody has the address.
    Host,
    /// Nobody listens.
    Port,
    /// A firewall says no.
    Prohibited,
}

impl Unreachable {
    /// RFC 792 and RFC 1812, section 5.2.7.1.
    fn code(self) -> u8 {
        match self {
            Self::Host => 1,
            Self::Port => 3,
            Self::Prohibited => 13,
        }
    }

    /// RFC 4443, section 3.1.
    fn code_v6(self) -> u8 {
        match self {
            Self::Host => 3,
            Self::Port => 4,
            Self::Prohibited => 1,
        }
    }
}

/// A segment; `flags` without PSH, which never matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it.
    pub from: SocketAddr,
    /// Who gets it.
    pub to: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Control bits.
    pub flags: u8,
    /// Window, unscaled.
    pub window: u16,
    /// Option bytes, padded to a multiple of 4.
    pub options: Vec<u8>,
    /// Data.
    pub data: Vec<u8>,
}

impl Segment {
    /// The sequence space that it takes.
    pub fn length(&self) -> u32 {
        let control = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        u32::try_from(self.data.len())
            .unwrap_or(u32::MAX)
            .wrapping_add(control)
    }

    /// Reads a packet; `None` if it is not TCP.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (from, to, tcp) = match packet.first()? >> 4 {
            4 => of_ipv4(packet)?,
            6 => of_ipv6(packet)?,
            _ => return None,
        };
        let offset = usize::from(tcp.get(12)? >> 4) * 4;
        Some(Self {
            from: SocketAddr::new(from, be16(tcp, 0)?),
            to: SocketAddr::new(to, be16(tcp, 2)?),
            seq: be32(tcp, 4)?,
            ack: be32(tcp, 8)?,
            flags: tcp.get(13)? & (FIN | SYN | RST | ACK),
            window: be16(tcp, 14)?,
            options: tcp.get(20..offset)?.to_vec(),
            data: tcp.get(offset..)?.to_vec(),
        })
    }

    /// The whole packet, checksums included.
    pub fn bytes(&self) -> Vec<u8> {
        packet(self.from.ip(), self.to.ip(), TCP, &self.tcp())
    }

    /// The packet in which the one that this segment was sent to says that it cannot be
    /// reached, quoting the segment.
    pub fn unreachable(&self, why: Unreachable) -> Vec<u8> {
        let (protocol, kind, code, header) = match self.to {
            SocketAddr::V4(_) => (ICMP, 3, why.code(), 20),
            SocketAddr::V6(_) => (ICMPV6, 1, why.code_v6(), 40),
        };
        let mut icmp = vec![kind, code, 0, 0, 0, 0, 0, 0];
        icmp.extend(self.bytes().iter().take(header + 8));
        let (from, to) = (self.to.ip(), self.from.ip());
        let sum = match self.to {
            SocketAddr::V4(_) => checksum(&icmp),
            SocketAddr::V6(_) => checksum_between(from, to, protocol, &icmp),
        };
        patch(&mut icmp, 2, sum);
        packet(from, to, protocol, &icmp)
    }

    fn tcp(&self) -> Vec<u8> {
        let push = if self.data.is_empty() { 0 } else { PSH };
        let offset = u8::try_from(5 + self.options.len() / 4).unwrap_or(15) << 4;
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([offset, self.flags | push]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(&self.data);

        let sum = checksum_between(self.from.ip(), self.to.ip(), TCP, &tcp);
        patch(&mut tcp, 16, sum);
        tcp
    }
}

/// Who sends an IPv4 packet, who gets it, and the TCP in it.
fn of_ipv4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(be16(packet, 2)?);
    let tcp = packet.get(header..total)?;
    (*packet.get(9)? == TCP).then_some((ip(packet, 12)?, ip(packet, 16)?, tcp))
}

/// The same of an IPv6 packet without extension headers.
fn of_ipv6(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let length = usize::from(be16(packet, 4)?);
    let tcp = packet.get(40..40 + length)?;
    (*packet.get(6)? == TCP).then_some((ip_v6(packet, 8)?, ip_v6(packet, 24)?, tcp))
}

/// A packet without options or extension headers.
fn packet(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = if to.is_ipv4() {
        header(protocol, payload.len() + 20)
    } else {
        header_v6(protocol, payload.len())
    };
    packet.extend(octets(from));
    packet.extend(octets(to));
    if to.is_ipv4() {
        let sum = checksum(&packet);
        patch(&mut packet, 10, sum);
    }
    packet.extend(payload);
    packet
}

/// The header of IPv4 up to its addresses; `length` is that of the packet.
fn header(protocol: u8, length: usize) -> Vec<u8> {
    let [high, low] = be(length);
    vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0]
}

/// The same of IPv6; `length` is that of what follows the header.
fn header_v6(protocol: u8, length: usize) -> Vec<u8> {
    let [high, low] = be(length);
    vec![0x60, 0, 0, 0, high, low, protocol, 64]
}

/// The checksum over a pseudo-header and this, with 0 in the place of the checksum.
fn checksum_between(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> u16 {
    let mut summed = octets(from);
    summed.extend(octets(to));
    summed.extend([0, protocol]);
    summed.extend(be(payload.len()));
    summed.extend(payload);
    checksum(&summed)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn be(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn ip(bytes: &[u8], at: usize) -> Option<IpAddr> {
    be32(bytes, at).map(|bits| Ipv4Addr::from(bits).into())
}

fn ip_v6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = *bytes.get(at..)?.first_chunk()?;
    Some(Ipv6Addr::from(octets).into())
}

fn patch(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or_default();
        let low = pair.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(from: &str, to: &str) -> Segment {
        Segment {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            seq: 7,
            ack: 9,
            flags: ACK | FIN,
            window: 1000,
            options: vec![1, 1, 1, 1],
            data: b"hello".to_vec(),
        }
    }

    #[test]
    fn a_segment_survives_the_wire_with_right_checksums() {
        let segment = segment("10.9.9.9:80", "127.0.0.1:4000");
        let bytes = segment.bytes();
        assert_eq!(Segment::parse(&bytes), Some(segment.clone()));
        assert_eq!(checksum(&bytes[..20]), 0);
        assert_eq!(segment.length(), 6);
    }

    #[test]
    fn the_same_over_ipv6() {
        let segment = segment("[fd00::9]:80", "[::1]:4000");
        let bytes = segment.bytes();
        assert_eq!(Segment::parse(&bytes), Some(segment));
        // Over the pseudo-header and the segment with its checksum, the sum is 0.
        let (from, to) = (bytes[8..24].to_vec(), bytes[24..40].to_vec());
        let length = [0, 6, 0, u8::try_from(bytes.len() - 40).unwrap()];
        let summed = [from, to, length.to_vec(), bytes[40..].to_vec()].concat();
        assert_eq!(checksum(&summed), 0);
    }

    #[test]
    fn an_icmp_error_goes_back_with_a_right_checksum() {
        let segment = segment("127.0.0.1:4000", "10.9.9.9:80");
        let bytes = segment.unreachable(Unreachable::Port);
        assert_eq!(bytes.len(), 20 + 8 + 28);
        assert_eq!(bytes[12..16], [10, 9, 9, 9]);
        assert_eq!(checksum(&bytes[20..]), 0);
        assert_eq!(bytes[28..], segment.bytes()[..28]);
    }

    #[test]
    fn what_is_not_tcp_is_not_a_segment() {
        assert_eq!(Segment::parse(&[0x45, 0, 0]), None);
        assert_eq!(Segment::parse(&[0x60; 60]), None);
    }
}
