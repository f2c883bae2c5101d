//! The words of `sock_diag` (`linux/inet_diag.h`): a request, and the messages of an answer.
//!
//! Takes bytes, gives [`Seen`] sockets. Never panics and never reads past a message. Pure.

use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use zerocopy::byteorder::network_endian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Detail;
use crate::census::{Minisock, Quiet, Seen};
use crate::event::{Ends, State};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;

/// `INET_DIAG_INFO`, an attribute and the bit that asks for it.
const INFO: u16 = 2;

/// `INET_DIAG_CGROUP_ID`.
const CGROUP_ID: u16 = 21;

/// The timer of a minisock (`inet_diag_msg.idiag_timer`).
const MINISOCK_TIMER: u8 = 3;

/// The timer of zero-window probes.
const PROBE_TIMER: u8 = 4;

/// `struct nlmsghdr`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    len: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

/// `struct inet_diag_sockid`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct SockId {
    local_port: network_endian::U16,
    peer_port: network_endian::U16,
    local: [u8; 16],
    peer: [u8; 16],
    interface: u32,
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`, with its header.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Request {
    header: Header,
    family: u8,
    protocol: u8,
    extensions: u8,
    pad: u8,
    states: u32,
    id: SockId,
}

/// `struct inet_diag_msg`.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Message {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    id: SockId,
    expires: u32,
    receive_queue: u32,
    send_queue: u32,
    uid: u32,
    inode: u32,
}

/// What a datagram of an answer says of those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There are more.
    More,
    /// That was all.
    Nothing,
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum AnswerError {
    /// The kernel refused, with this errno.
    #[error("the kernel refused: errno {0}")]
    Refused(i32),
    /// It is not what `sock_diag` sends.
    #[error("an answer of {0} bytes is not a whole message")]
    Malformed(usize),
}

impl Request {
    /// Asks for all TCP sockets of an address family (`AF_INET`, `AF_INET6`) in these states.
    pub(super) fn dump(family: u8, states: &[State], detail: Detail, sequence: u32) -> Self {
        const DUMP_REQUEST: u16 = 0x1 | 0x300;
        const TCP: u8 = 6;
        let len = u32::try_from(size_of::<Self>()).unwrap_or(u32::MAX);
        Self {
            header: Header {
                len,
                kind: BY_FAMILY,
                flags: DUMP_REQUEST,
                sequence,
                port: 0,
            },
            family,
            protocol: TCP,
            extensions: u8::from(detail == Detail::Inside) << (INFO - 1),
            pad: 0,
            states: states.iter().map(|state| 1 << state.number()).sum(),
            id: SockId {
                local_port: network_endian::U16::ZERO,
                peer_port: network_endian::U16::ZERO,
                local: [0; 16],
                peer: [0; 16],
                interface: 0,
                cookie: [0; 2],
            },
        }
    }
}

/// Hands each socket of one datagram to `each`. A message for another request is passed over.
pub(super) fn read(
    datagram: &[u8],
    sequence: u32,
    each: &mut dyn FnMut(Seen),
) -> Result<Rest, AnswerError> {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    let mut bytes = datagram;
    while !bytes.is_empty() {
        let malformed = AnswerError::Malformed(bytes.len());
        let Ok((header, _)) = Header::read_from_prefix(bytes) else {
            return Err(malformed);
        };
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let Some(body) = bytes.get(size_of::<Header>()..len) else {
            return Err(malformed);
        };
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        if header.sequence != sequence {
            continue;
        }
        match header.kind {
            DONE | ERROR => return ended(body).map(|()| Rest::Nothing),
            BY_FAMILY => each(socket(body).ok_or(malformed)?),
            _ => {}
        }
    }
    Ok(Rest::More)
}

/// The status that ends an answer: 0, or an errno below 0.
fn ended(body: &[u8]) -> Result<(), AnswerError> {
    match i32::read_from_prefix(body) {
        Ok((status, _)) if status < 0 => Err(AnswerError::Refused(-status)),
        Ok(_) => Ok(()),
        Err(_) => Err(AnswerError::Malformed(body.len())),
    }
}

fn socket(body: &[u8]) -> Option<Seen> {
    let (message, attributes) = Message::read_from_prefix(body).ok()?;
    let minisock = (message.timer == MINISOCK_TIMER).then(|| Minisock {
        remaining: Duration::from_millis(u64::from(message.expires)),
    });
    let mut seen = Seen {
        state: State::from_number(message.state)?,
        ends: message.id.ends(message.family)?,
        cookie: u64::from(message.id.cookie[1]) << 32 | u64::from(message.id.cookie[0]),
        inode: message.inode,
        uid: message.uid,
        receive_queue: message.receive_queue,
        send_queue: message.send_queue,
        probes_window: message.timer == PROBE_TIMER,
        minisock,
        cgroup: None,
        quiet: None,
    };
    for (kind, value) in Attributes(attributes) {
        match kind {
            INFO => seen.quiet = quiet(value),
            CGROUP_ID => seen.cgroup = u64::read_from_prefix(value).ok().map(|(id, _)| id),
            _ => {}
        }
    }
    Some(seen)
}

impl SockId {
    fn ends(&self, family: u8) -> Option<Ends> {
        let ip = |bytes: [u8; 16]| match i32::from(family) {
            libc::AF_INET => {
                let four = bytes.first_chunk::<4>()?;
                Some(IpAddr::V4(Ipv4Addr::from(*four)))
            }
            libc::AF_INET6 => Some(Ipv6Addr::from(bytes).to_canonical()),
            _ => None,
        };
        Some(Ends {
            local: SocketAddr::new(ip(self.local)?, self.local_port.get()),
            peer: SocketAddr::new(ip(self.peer)?, self.peer_port.get()),
        })
    }
}

/// Three times of `struct tcp_info`, which only ever grows at its end.
fn quiet(info: &[u8]) -> Option<Quiet> {
    let milliseconds = |offset: usize| {
        let (value, _) = u32::read_from_prefix(info.get(offset..)?).ok()?;
        Some(Duration::from_millis(u64::from(value)))
    };
    Some(Quiet {
        data_sent: milliseconds(offset_of!(libc::tcp_info, tcpi_last_data_sent))?,
        data_received: milliseconds(offset_of!(libc::tcp_info, tcpi_last_data_recv))?,
        ack_received: milliseconds(offset_of!(libc::tcp_info, tcpi_last_ack_recv))?,
    })
}

/// `struct nlattr` after `struct nlattr`: kind and value of each, as far as they are whole.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        const HEADER: usize = 4;
        let (len, rest) = u16::read_from_prefix(self.0).ok()?;
        let (kind, _) = u16::read_from_prefix(rest).ok()?;
        let len = usize::from(len);
        let value = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}
