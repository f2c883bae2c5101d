//! Connections that a process still holds, and whose peer falls silent after a FIN or before it
//! has answered.

use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::net::{Net, State, VOID};
use super::pair::{finish, read_end, send, wait_error};
use super::peer::{Peer, start_connect};
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

const GAVE_UP: &[(&str, i64)] = &[("EstabResets", 0), ("TCPAbortOnTimeout", 1), ("OutRsts", 0)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "held_fin_wait1",
        "the FIN of shutdown() is never acknowledged",
        fin_wait1,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "held_closing",
        "both FINs cross, and that of shutdown() is never acknowledged",
        closing,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "held_last_ack",
        "the FIN of shutdown() in answer to the peer's is never acknowledged",
        last_ack,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "held_close_wait",
        "data after the peer's FIN is never acknowledged",
        close_wait,
    )
    .counters(&[("EstabResets", 1), ("TCPAbortOnTimeout", 1), ("OutRsts", 0)]),
    Scenario::new(
        "connect_user_timeout",
        "a SYN is not answered within TCP_USER_TIMEOUT",
        connect_user_timeout,
    )
    .counters(&[("AttemptFails", 1), ("TCPAbortOnTimeout", 1)]),
];

fn fin_wait1(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_retransmit")
        .closed_here(Closer::Shutdown)
        .half_closed(Some(true));
    finish(&client)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn closing(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "2")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_retransmit")
        .closed_here(Closer::Shutdown)
        .half_closed(None);
    finish(&client)?;
    peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn last_ack(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "timeout_retransmit").closed_here(Closer::Shutdown);
    peer.send(FIN | ACK, b"")?;
    read_end(&server)?;
    finish(&server)?;
    wait_error(&server, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn close_wait(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "timeout_retransmit")
        .half_closed(None)
        .left(0, 0, 5);
    peer.send(FIN | ACK, b"")?;
    read_end(&server)?;
    send(&server, b"12345")?;
    wait_error(&server, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

/// Long before the SYN has been sent as often as `tcp_syn_retries` allows.
fn connect_user_timeout(net: &Net) -> Result<Vec<End>> {
    let to = (VOID, 7000).into();
    let client = start_connect(to)?;
    SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_millis(500)))?;
    let local = client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![End::client(local, to, "timeout_connect")])
}
