//! Connections that end while the application holds their sockets: close() comes after CLOSE.

use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, linger_zero, read_end, send, wait_error};
use super::peer::Peer;
use super::scripted::client_of;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "held_for_ever",
        "connections end while their sockets are held, and nobody ever closes them",
        held_for_ever,
    )
    .counters(HELD_COUNTERS),
    Scenario::new(
        "held_and_closed_late",
        "the same, and close() comes much later",
        held_and_closed_late,
    )
    .counters(HELD_COUNTERS),
];

const HELD_COUNTERS: &[(&str, i64)] = &[
    ("ActiveOpens", 6),
    ("EstabResets", 6),
    ("OutRsts", 4),
    ("TCPAbortOnTimeout", 1),
];

/// Longer than a verdict waits for what may still come.
const MUCH_LATER: Duration = Duration::from_millis(500);

/// Sockets that stay open until this process ends.
static FOR_EVER: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

fn held_for_ever(net: &Net) -> Result<Vec<End>> {
    let (ends, sockets) = endings(net)?;
    let mut held = FOR_EVER.lock().unwrap_or_else(PoisonError::into_inner);
    held.extend(sockets.into_iter().map(OwnedFd::from));
    Ok(ends)
}

fn held_and_closed_late(net: &Net) -> Result<Vec<End>> {
    let (ends, sockets) = endings(net)?;
    thread::sleep(MUCH_LATER);
    sockets.into_iter().for_each(close);
    Ok(ends)
}

/// Connections that have ended, and their sockets that nobody has closed.
type Held = (Vec<End>, Vec<TcpStream>);

fn endings(net: &Net) -> Result<Held> {
    net.set("tcp_retries2", "1")?;
    let (mut ends, mut sockets) = (Vec::new(), Vec::new());
    let each = [
        orderly,
        reset_established,
        reset_after_fin,
        reset_while_closing,
        data_after_shutdown,
        timed_out,
    ];
    for make in each {
        let (more_ends, more_sockets) = make(net)?;
        ends.extend(more_ends.into_iter().map(|end| end.attributes(&[])));
        sockets.extend(more_sockets);
    }
    Ok((ends, sockets))
}

fn orderly(net: &Net) -> Result<Held> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("active_close")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true)),
        pair.server_end("passive_close")
            .closed_here(Closer::Shutdown),
    ];
    finish(&pair.client)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    finish(&pair.server)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok((ends, vec![pair.client, pair.server]))
}

fn reset_established(_net: &Net) -> Result<Held> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("peer_reset"),
        pair.server_end("reset_linger_zero")
            .closed_here(Closer::Close),
    ];
    server_resets(pair.server)?;
    wait_error(&pair.client, libc::ECONNRESET)?;
    Ok((ends, vec![pair.client]))
}

fn reset_after_fin(net: &Net) -> Result<Held> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("peer_reset_after_fin"),
        pair.server_end("reset_linger_zero")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true)),
    ];
    finish(&pair.server)?;
    read_end(&pair.client)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    server_resets(pair.server)?;
    wait_error(&pair.client, libc::EPIPE)?;
    Ok((ends, vec![pair.client]))
}

fn reset_while_closing(net: &Net) -> Result<Held> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true)),
        pair.server_end("reset_linger_zero")
            .closed_here(Closer::Close)
            .initiator("peer"),
    ];
    finish(&pair.client)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    server_resets(pair.server)?;
    wait_error(&pair.client, libc::ECONNRESET)?;
    Ok((ends, vec![pair.client]))
}

fn data_after_shutdown(net: &Net) -> Result<Held> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_data_after_close")
            .closed_here(Closer::Shutdown),
        pair.server_end("peer_reset_after_fin")
            .half_closed(Some(true))
            .left(0, 0, 5),
    ];
    pair.client.shutdown(Shutdown::Both)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    send(&pair.server, b"12345")?;
    wait_error(&pair.server, libc::EPIPE)?;
    Ok((ends, vec![pair.client, pair.server]))
}

fn timed_out(net: &Net) -> Result<Held> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_retransmit").left(0, 0, 5);
    send(&client, b"12345")?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok((vec![end], vec![client]))
}

fn server_resets(server: TcpStream) -> Result<()> {
    linger_zero(&server)?;
    close(server);
    Ok(())
}
