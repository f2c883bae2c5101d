//! Accept queues that are full, and a listener that closes while a request waits.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, bail};
use socket2::{Domain, Socket, Type};

use super::net::{Net, State};
use super::pair::{close, deafen, hear, send, wait_error};
use super::peer::Peer;
use super::segment::{ACK, RST};
use super::truth::End;
use super::{Beside, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "queue_full_ignored",
        "the last ACK meets a full accept queue; then the listener closes",
        queue_full_ignored,
    )
    .counters(&[("OutRsts", 4), ("EstabResets", 7)])
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "queue_full_reset",
        "the same with tcp_abort_on_overflow: a reset answers it",
        queue_full_reset,
    )
    .counters(&[("OutRsts", 4), ("EstabResets", 6)])
    .beside(&[Beside {
        counter: "OutRsts",
        count: 1,
        reason: "a reset for a request",
    }]),
];

/// A listener whose accept queue three connections fill while a request waits.
struct Full {
    listener: TcpListener,
    at: SocketAddr,
    waiting: Vec<TcpStream>,
}

impl Full {
    /// `request` leaves one request that waits.
    fn new<T>(net: &Net, request: impl FnOnce(&TcpListener) -> Result<T>) -> Result<(Self, T)> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // A queue of two has room for two requests, and is full with more than two children.
        listener.listen(2)?;
        let listener = TcpListener::from(listener);
        let at = listener.local_addr()?;
        let mut waiting = vec![TcpStream::connect(at)?];
        let late = request(&listener)?;
        for _ in 0..2 {
            waiting.push(TcpStream::connect(at)?);
        }
        for client in &waiting {
            net.wait_state(at, client.local_addr()?, State::Established)?;
        }
        let full = Self {
            listener,
            at,
            waiting,
        };
        Ok((full, late))
    }

    /// The listener closes: every child in its queue is reset.
    fn close(self) -> Result<Vec<End>> {
        let mut ends = Vec::new();
        for client in &self.waiting {
            let client_at = client.local_addr()?;
            ends.push(End::client(client_at, self.at, "peer_reset"));
            ends.push(End::server(self.at, client_at, "reset_listener_closed"));
        }
        close(self.listener);
        for client in &self.waiting {
            wait_error(client, libc::ECONNRESET)?;
        }
        Ok(ends)
    }
}

fn deaf_client(to: SocketAddr) -> Result<TcpStream> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    deafen(&client)?;
    client.set_nonblocking(true)?;
    match client.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(client.into()),
        other => bail!("expected to wait, got {other:?}"),
    }
}

fn queue_full_ignored(net: &Net) -> Result<Vec<End>> {
    let (full, late) = Full::new(net, |listener| {
        let at = listener.local_addr()?;
        let late = deaf_client(at)?;
        net.wait_state(at, late.local_addr()?, State::SynRecv)?;
        Ok(late)
    })?;
    let (at, late_at) = (full.at, late.local_addr()?);
    hear(&late)?;
    net.wait_state(late_at, at, State::Established)?;
    send(&late, b"12345")?;
    let mut ends = full.close()?;
    wait_error(&late, libc::ECONNRESET)?;
    ends.push(End::client(late_at, at, "peer_reset").left(0, 0, 5));
    Ok(ends)
}

fn queue_full_reset(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_abort_on_overflow", "1")?;
    let mut peer = Peer::new(net)?;
    let (full, ()) = Full::new(net, |listener| peer.half_open(listener))?;
    peer.send(ACK, b"")?;
    peer.expect_any(&[RST, RST | ACK])?;
    full.close()
}
