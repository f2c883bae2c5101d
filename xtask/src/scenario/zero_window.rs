//! A window that stays shut.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::give_up::{GAVE_UP, bound};
use super::net::{Net, State};
use super::pair::{Pair, close, read, send, wait_error};
use super::peer::Peer;
use super::scripted::client_of;
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "zero_window",
        "the window is shut, and window probes go unanswered",
        |net| zero_window(net, None),
    )
    .counters(GAVE_UP),
    Scenario::new(
        "zero_window_before_user_timeout",
        "the same, long before TCP_USER_TIMEOUT",
        |net| zero_window(net, Some(Duration::from_hours(2))),
    )
    .counters(GAVE_UP),
    Scenario::new(
        "zero_window_user_timeout",
        "a real peer does not read; each probe is answered until TCP_USER_TIMEOUT",
        zero_window_user_timeout,
    )
    .counters(&[
        ("TCPAbortOnTimeout", 1),
        ("TCPAbortOnClose", 1),
        ("EstabResets", 2),
    ]),
    Scenario::new(
        "zero_window_shrunk",
        "the window is taken back under data in flight",
        zero_window_shrunk,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "zero_window_orphan",
        "close() before a shut window, and window probes go unanswered",
        zero_window_orphan,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("OutRsts", 0)]),
    Scenario::new(
        "zero_window_outlived",
        "more probes than tcp_retries2 are answered, then the window opens",
        zero_window_outlived,
    )
    .counters(&[("TCPAbortOnTimeout", 0), ("OutRsts", 0)]),
];

fn zero_window(net: &Net, limit: Option<Duration>) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let (peer, client) = shut(net)?;
    SockRef::from(&client).set_tcp_user_timeout(limit)?;
    send(&client, &[b'b'; 20])?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_zero_window").left(0, 20, 0)])
}

/// A scripted peer that has taken 10 bytes and shut its window.
pub(super) fn shut(net: &Net) -> Result<(Peer, TcpStream)> {
    let mut peer = Peer::new(net)?;
    peer.window = 10;
    let client = peer.accept(net)?;
    send(&client, &[b'a'; 10])?;
    peer.expect(ACK)?;
    peer.window = 0;
    peer.send(ACK, b"")?;
    Ok((peer, client))
}

fn zero_window_user_timeout(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    bound(&pair.client, Duration::from_secs(1))?;
    fill(&pair.client)?;
    let ends = vec![
        End {
            unsent: None,
            ..pair.client_end("timeout_zero_window")
        },
        End {
            unread: None,
            ..pair
                .server_end("reset_unread_data")
                .closed_here(Closer::Close)
        },
    ];
    wait_error(&pair.client, libc::ETIMEDOUT)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    close(pair.server);
    Ok(ends)
}

/// Writes until the peer's window is shut.
fn fill(mut socket: &TcpStream) -> Result<()> {
    socket.set_nonblocking(true)?;
    loop {
        match socket.write(&[b'a'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn zero_window_shrunk(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    peer.send(ACK, b"x")?;
    read(&client, b"x")?;
    send(&client, &[b'a'; 100])?;
    peer.window = 0;
    peer.send(ACK, b"")?;
    bound(&client, Duration::from_secs(1))?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![
        client_of(&peer, "timeout_zero_window").left(0, 0, 100),
    ])
}

fn zero_window_orphan(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let (peer, client) = shut(net)?;
    send(&client, &[b'b'; 20])?;
    let end = client_of(&peer, "timeout_zero_window")
        .closed_here(Closer::Close)
        .left(0, 20, 0);
    close(client);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn zero_window_outlived(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let (mut peer, client) = shut(net)?;
    send(&client, &[b'b'; 20])?;
    for _ in 0..4 {
        // A probe repeats a number that was acknowledged.
        peer.expect_any(&[ACK])?;
        peer.send(ACK, b"")?;
    }
    peer.window = 1000;
    peer.send(ACK, b"")?;
    peer.expect(ACK)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}
