//! TCP Fast Open: ends of a child in SYN_RECV that other connections meet in ESTABLISHED.

use std::net::TcpListener;

use anyhow::Result;

use super::Scenario;
use super::destroys::cannot_destroy;
use super::net::{Net, State};
use super::pair::{close, linger_zero, read, wait_error};
use super::peer::Peer;
use super::raw::disconnect;
use super::scripted::server_of;
use super::segment::{ACK, SYN, Unreachable};
use super::sock_diag::destroy;
use super::tfo::{ON, half_open};
use super::truth::{Closer, End};

const RESET: &[(&str, i64)] = &[
    ("TCPFastOpenPassive", 1),
    ("EstabResets", 0),
    ("OutRsts", 1),
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("tfo_linger_zero", "SO_LINGER 0 in SYN_RECV", linger).counters(RESET),
    Scenario::new(
        "tfo_disconnected",
        "connect(AF_UNSPEC) in SYN_RECV",
        disconnected,
    )
    .counters(RESET),
    Scenario::new("tfo_destroyed", "an administrator, in SYN_RECV", destroyed)
        .counters(RESET)
        .unless(cannot_destroy),
    Scenario::new(
        "tfo_listener_closed",
        "the listener closes with a child in SYN_RECV that nobody has accepted",
        listener_closed,
    )
    .counters(RESET),
    Scenario::new(
        "tfo_unreachable",
        "the SYN-ACK of a child that nobody has accepted meets no port",
        unreachable,
    )
    .counters(&[("TCPFastOpenPassive", 1), ("OutRsts", 0)]),
];

fn linger(net: &Net) -> Result<Vec<End>> {
    let (peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "reset_linger_zero").closed_here(Closer::Close);
    read(&server, b"12345")?;
    linger_zero(&server)?;
    close(server);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn disconnected(net: &Net) -> Result<Vec<End>> {
    let (peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "reset_disconnect")
        .closed_here(Closer::Nobody)
        .left(5, 0, 0);
    disconnect(&server)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn destroyed(net: &Net) -> Result<Vec<End>> {
    let (peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "reset_destroyed")
        .closed_here(Closer::Nobody)
        .left(5, 0, 0);
    destroy(peer.real, peer.address)?;
    wait_error(&server, libc::ECONNABORTED)?;
    Ok(vec![end])
}

/// A child with 5 bytes in the queue of a listener, and the segment that the peer answers.
fn queued(net: &Net) -> Result<(Peer, TcpListener, super::segment::Segment)> {
    net.set("tcp_fastopen", ON)?;
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((net.loopback(), 0))?;
    peer.real = listener.local_addr()?;
    peer.send(SYN, b"12345")?;
    let answer = peer.expect(SYN | ACK)?;
    net.wait_state(peer.real, peer.address, State::SynRecv)?;
    Ok((peer, listener, answer))
}

fn listener_closed(net: &Net) -> Result<Vec<End>> {
    let (peer, listener, _answer) = queued(net)?;
    let end = server_of(&peer, "reset_listener_closed")
        .closed_here(Closer::Nobody)
        .left(5, 0, 0);
    close(listener);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

/// `tcp_v4_err`: accepted, it would be treated as connected.
fn unreachable(net: &Net) -> Result<Vec<End>> {
    let (peer, _listener, answer) = queued(net)?;
    let end = server_of(&peer, "unreachable").left(5, 0, 0);
    peer.unreachable(Unreachable::Port, &answer)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}
