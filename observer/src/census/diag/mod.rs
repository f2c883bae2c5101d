//! Asks the kernel for its TCP sockets, through `NETLINK_SOCK_DIAG`.
//!
//! Takes the states that are wanted; gives every socket of the calling thread's network
//! namespace in one of them, one by one, so that nobody need keep them all. The kernel walks
//! its whole table of connections for each address family, 16 sockets at a time under a lock,
//! and a socket that changes its place meanwhile may be told twice or not at all.

mod message;

#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
    sockopt,
};
use zerocopy::IntoBytes as _;

use super::Seen;
use crate::event::State;
use message::{AnswerError, Request, Rest};

/// As large as the kernel makes a datagram of an answer (`netlink_dump`).
const DATAGRAM: usize = 32 << 10;

/// The kernel answers at once or never.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the kernel does not tell its sockets.
#[derive(Debug, thiserror::Error)]
pub enum DiagError {
    /// It has no `tcp_diag`.
    #[error(
        "the kernel has no sock_diag for TCP; `modprobe tcp_diag` loads it, and \
         CONFIG_INET_TCP_DIAG builds it"
    )]
    Missing,
    /// The socket to the kernel fails.
    #[error("cannot ask the kernel for its sockets (NETLINK_SOCK_DIAG): {0}")]
    Io(#[from] io::Error),
    /// The answer makes no sense.
    #[error("cannot read the kernel's answer about its sockets: {0}")]
    Answer(String),
}

/// Whether the kernel is to look into each socket, which takes its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// No: [`Seen::quiet`] stays `None`.
    Outside,
    /// Yes, for what `struct tcp_info` holds.
    Inside,
}

/// Hands each TCP socket in one of `states` to `each`.
pub fn dump(states: &[State], detail: Detail, mut each: impl FnMut(Seen)) -> Result<(), DiagError> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )
    .map_err(io::Error::from)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))
        .map_err(io::Error::from)?;
    let mut buffer = vec![0; DATAGRAM];
    for (sequence, family) in (1..).zip([libc::AF_INET, libc::AF_INET6]) {
        let family = u8::try_from(family).unwrap_or_default();
        let request = Request::dump(family, states, detail, sequence);
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&socket, request.as_bytes(), SendFlags::empty(), &kernel)
            .map_err(io::Error::from)?;
        loop {
            let (_, len) =
                recv(&socket, &mut buffer, RecvFlags::empty()).map_err(io::Error::from)?;
            let datagram = buffer.get(..len).unwrap_or_default();
            match message::read(datagram, sequence, &mut each) {
                Ok(Rest::More) => {}
                Ok(Rest::Nothing) => break,
                Err(AnswerError::Refused(libc::ENOENT)) => return Err(DiagError::Missing),
                Err(error) => return Err(DiagError::Answer(error.to_string())),
            }
        }
    }
    Ok(())
}
