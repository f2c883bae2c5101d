//! One TCP segment over IPv4, as bytes.
//!
//! Takes and gives whole packets. Never computes what a kernel would refuse: checksums are
//! always right.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Control bits.
pub const FIN: u8 = 1;
/// Control bits.
pub const SYN: u8 = 2;
/// Control bits.
pub const RST: u8 = 4;
/// Control bits.
pub const ACK: u8 = 16;
const PSH: u8 = 8;

/// A segment; `flags` without PSH, which never matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it.
    pub from: SocketAddrV4,
    /// Who gets it.
    pub to: SocketAddrV4,
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

    /// Reads a packet; `None` if it is not TCP over IPv4.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        if packet.first()? >> 4 != 4 || *packet.get(9)? != 6 {
            return None;
        }
        let total = usize::from(be16(packet, 2)?);
        let tcp = packet.get(header..total)?;
        let offset = usize::from(tcp.get(12)? >> 4) * 4;
        Some(Self {
            from: SocketAddrV4::new(ip(packet, 12)?, be16(tcp, 0)?),
            to: SocketAddrV4::new(ip(packet, 16)?, be16(tcp, 2)?),
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
        packet(*self.from.ip(), *self.to.ip(), 6, &self.tcp())
    }

    /// The packet in which the one that this segment was sent to says that it cannot be
    /// reached: ICMP type 3 with this code, quoting the segment.
    pub fn unreachable(&self, code: u8) -> Vec<u8> {
        let (destination_unreachable, quoted) = (3, 20 + 8);
        let mut icmp = vec![destination_unreachable, code, 0, 0, 0, 0, 0, 0];
        icmp.extend(self.bytes().iter().take(quoted));
        let sum = checksum(&icmp);
        patch(&mut icmp, 2, sum);
        packet(*self.to.ip(), *self.from.ip(), 1, &icmp)
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

        let length = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
        let mut summed = Vec::new();
        summed.extend(self.from.ip().octets());
        summed.extend(self.to.ip().octets());
        summed.extend([0, 6]);
        summed.extend(length.to_be_bytes());
        summed.extend(&tcp);
        let sum = checksum(&summed);
        patch(&mut tcp, 16, sum);
        tcp
    }
}

/// An IPv4 packet without options.
fn packet(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    patch(&mut packet, 10, sum);
    packet.extend(payload);
    packet
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn ip(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    be32(bytes, at).map(Ipv4Addr::from)
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

    #[test]
    fn a_segment_survives_the_wire_with_right_checksums() {
        let segment = Segment {
            from: "10.9.9.9:80".parse().unwrap(),
            to: "127.0.0.1:4000".parse().unwrap(),
            seq: 7,
            ack: 9,
            flags: ACK | FIN,
            window: 1000,
            options: vec![1, 1, 1, 1],
            data: b"hello".to_vec(),
        };
        let bytes = segment.bytes();
        assert_eq!(Segment::parse(&bytes), Some(segment.clone()));
        assert_eq!(checksum(&bytes[..20]), 0);
        assert_eq!(segment.length(), 6);
    }

    #[test]
    fn an_icmp_error_goes_back_with_a_right_checksum() {
        let segment = Segment {
            from: "127.0.0.1:4000".parse().unwrap(),
            to: "10.9.9.9:80".parse().unwrap(),
            seq: 7,
            ack: 0,
            flags: SYN,
            window: 1000,
            options: Vec::new(),
            data: Vec::new(),
        };
        let bytes = segment.unreachable(3);
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
