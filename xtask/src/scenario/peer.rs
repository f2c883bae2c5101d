//! A peer that does exactly what the script says, and nothing by itself.
//!
//! Takes a port of the address that nobody has; gives segments to a real socket of this
//! namespace and sees each segment that the kernel answers. The kernel itself stays quiet
//! there: the address is routed out of `lo` but is not local.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::clock::CEILING;
use super::net::{Net, State, loopback_of};
use super::segment::{ACK, FIN, RST, SYN, Segment, Unreachable};

const LONGEST_PACKET: usize = 65_536;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const IPPROTO_RAW: i32 = 255;

/// Sees all packets of one family in the namespace and can send any.
#[derive(Debug)]
pub struct Tap {
    seen: Socket,
    raw: Socket,
}

impl Tap {
    /// Listens and speaks on `lo`, in the family of this address.
    pub fn open(family: IpAddr) -> Result<Self> {
        let (domain, kind) = match family {
            IpAddr::V4(_) => (Domain::IPV4, ETH_P_IP),
            IpAddr::V6(_) => (Domain::IPV6, ETH_P_IPV6),
        };
        let ip_packets = Protocol::from(i32::from(kind.to_be()));
        let seen = Socket::new(Domain::PACKET, Type::DGRAM, Some(ip_packets))
            .context("cannot open a packet socket")?;
        seen.set_read_timeout(Some(CEILING))?;
        let raw = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))
            .context("cannot open a raw socket")?;
        Ok(Self { seen, raw })
    }

    /// The next segment that somebody sent to `ip`.
    pub fn next_to(&mut self, ip: IpAddr) -> Result<Segment> {
        let mut packet = vec![0; LONGEST_PACKET];
        loop {
            let length = self
                .seen
                .read(&mut packet)
                .with_context(|| format!("nothing came for {ip}"))?;
            let segment = packet.get(..length).and_then(Segment::parse);
            if let Some(segment) = segment.filter(|segment| segment.to.ip() == ip) {
                return Ok(segment);
            }
        }
    }

    /// Sends a segment as it is.
    pub fn send(&self, segment: &Segment) -> Result<()> {
        self.inject(&segment.bytes(), segment.to.ip())
            .with_context(|| format!("cannot send {segment:?}"))
    }

    /// Tells the sender of a segment by ICMP that it could not be delivered.
    pub fn send_unreachable(&self, why: Unreachable, segment: &Segment) -> Result<()> {
        self.inject(&segment.unreachable(why), segment.from.ip())
            .context("cannot send an ICMP error")
    }

    fn inject(&self, packet: &[u8], to: IpAddr) -> Result<()> {
        // A raw socket of IPv6 takes the port for a protocol.
        let to = SocketAddr::new(to, 0).into();
        self.raw.send_to(packet, &to)?;
        Ok(())
    }
}

/// The scripted end of one connection.
#[derive(Debug)]
pub struct Peer {
    tap: Tap,
    /// The scripted end.
    pub address: SocketAddr,
    /// The real end.
    pub real: SocketAddr,
    seq: u32,
    ack: u32,
    /// The window that it offers.
    pub window: u16,
}

impl Peer {
    /// A peer that has not spoken yet.
    pub fn new(net: &Net) -> Result<Self> {
        let address = SocketAddr::new(net.void(), 7000);
        let real = SocketAddr::new(net.loopback(), 0);
        Ok(Self {
            tap: Tap::open(net.void())?,
            address,
            real,
            seq: 1_000_000,
            ack: 0,
            window: 60_000,
        })
    }

    /// A real client connects to it, and it answers: the client's socket, ESTABLISHED.
    pub fn accept(&mut self, net: &Net) -> Result<TcpStream> {
        let client = start_connect(self.address)?;
        let syn = self.tap.next_to(self.address.ip())?;
        if syn.flags != SYN {
            bail!("expected a SYN, got {syn:?}");
        }
        self.real = syn.from;
        self.ack = syn.seq.wrapping_add(1);
        self.send(SYN | ACK, b"")?;
        self.expect(ACK)?;
        net.wait_state(self.real, self.address, State::Established)?;
        client.set_nonblocking(false)?;
        Ok(client)
    }

    /// It connects to a real listener: the accepted socket.
    pub fn connect(&mut self, net: &Net) -> Result<TcpStream> {
        let listener = TcpListener::bind((net.loopback(), 0))?;
        self.half_open(&listener)?;
        self.send(ACK, b"")?;
        SockRef::from(&listener).set_read_timeout(Some(CEILING))?;
        let (server, _) = listener.accept()?;
        net.wait_state(self.real, self.address, State::Established)?;
        Ok(server)
    }

    /// It sends a SYN to a listener and gets its SYN-ACK, but says no more.
    pub fn half_open(&mut self, listener: &TcpListener) -> Result<()> {
        self.real = listener.local_addr()?;
        self.send(SYN, b"")?;
        self.expect(SYN | ACK)?;
        Ok(())
    }

    /// Sends one segment in order, acknowledging what it has taken.
    pub fn send(&mut self, flags: u8, data: &[u8]) -> Result<()> {
        let segment = self.segment(0, flags, data);
        self.seq = self.seq.wrapping_add(segment.length());
        self.tap.send(&segment)
    }

    /// Sends a segment that starts so far after the next one in order, and forgets it.
    pub fn send_at(&mut self, offset: i32, flags: u8, data: &[u8]) -> Result<()> {
        self.tap.send(&self.segment(offset, flags, data))
    }

    fn segment(&self, offset: i32, flags: u8, data: &[u8]) -> Segment {
        Segment {
            from: self.address,
            to: self.real,
            seq: self.seq.wrapping_add_signed(offset),
            ack: if flags & ACK == 0 { 0 } else { self.ack },
            flags,
            window: self.window,
            options: Vec::new(),
            data: data.to_vec(),
        }
    }

    /// Answers a segment with an ICMP error instead of TCP.
    pub fn unreachable(&self, why: Unreachable, segment: &Segment) -> Result<()> {
        self.tap.send_unreachable(why, segment)
    }

    /// Sends a RST that fits.
    pub fn reset(&mut self) -> Result<()> {
        self.send(RST | ACK, b"")
    }

    /// Sends a RST that is in the window but not at its edge.
    pub fn reset_off(&mut self, by: u32) -> Result<()> {
        let seq = self.seq;
        self.seq = seq.wrapping_add(by);
        self.reset()?;
        self.seq = seq;
        Ok(())
    }

    /// Takes segments until one in order has these control bits; older ones are retransmissions.
    pub fn expect(&mut self, flags: u8) -> Result<Segment> {
        loop {
            let segment = self.see(flags)?;
            let first = segment.flags & SYN != 0;
            if first || segment.seq == self.ack || segment.flags & RST != 0 {
                self.take(&segment);
                return Ok(segment);
            }
        }
    }

    /// Takes segments until one has one of these sets of control bits.
    pub fn expect_any(&mut self, choices: &[u8]) -> Result<Segment> {
        loop {
            let segment = self.tap.next_to(self.address.ip())?;
            if choices.contains(&segment.flags) {
                return Ok(segment);
            }
        }
    }

    /// Sees the FIN but does not take it: what the peer sends next does not acknowledge it.
    pub fn see_fin(&mut self) -> Result<Segment> {
        self.see(FIN | ACK)
    }

    /// Acknowledges a segment from here on.
    pub fn take(&mut self, segment: &Segment) {
        self.ack = segment.seq.wrapping_add(segment.length());
    }

    fn see(&mut self, flags: u8) -> Result<Segment> {
        loop {
            let segment = self.tap.next_to(self.address.ip())?;
            if segment.flags == flags {
                return Ok(segment);
            }
            if segment.flags & RST != 0 {
                bail!("waited for control bits {flags:#x}, got a RST: {segment:?}");
            }
        }
    }
}

/// Starts to connect without waiting for the handshake.
pub fn start_connect(to: SocketAddr) -> Result<TcpStream> {
    start_connect_from(loopback_of(to.ip()), to)
}

/// The same from another address of this namespace.
pub fn start_connect_from(from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    let any_port = SocketAddr::from((from, 0));
    socket.bind(&any_port.into())?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Ok(()) => bail!("connected to {to} at once"),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {to}")),
    }
}
