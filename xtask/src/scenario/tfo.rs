//! TCP Fast Open: data before the handshake is over, and what becomes of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::net::{Net, State, VOID};
use super::pair::{Pair, close, read, send, wait_error};
use super::peer::Peer;
use super::raw::set_number;
use super::scripted::server_of;
use super::segment::{ACK, FIN, SYN};
use super::truth::{Closer, End};

/// Both sides on, without cookies, and every listener takes it.
pub(super) const ON: &str = "0x607";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "tfo_close",
        "data in the SYN, then an orderly close",
        tfo_close,
    )
    .counters(&[
        ("TCPFastOpenActive", 1),
        ("TCPFastOpenPassive", 1),
        ("EstabResets", 0),
        ("OutRsts", 0),
    ]),
    Scenario::new(
        "tfo_unanswered",
        "a SYN with data is never answered",
        tfo_unanswered,
    )
    .counters(&[("AttemptFails", 1), ("TCPAbortOnTimeout", 1)]),
    Scenario::new("tfo_reset", "a RST before the handshake is over", tfo_reset)
        .counters(&[
            ("TCPFastOpenPassive", 1),
            ("AttemptFails", 2),
            ("OutRsts", 0),
        ])
        .beside(&[super::REQUEST]),
    Scenario::new(
        "tfo_synack_unanswered",
        "the peer vanishes before the handshake is over",
        tfo_synack_unanswered,
    )
    .counters(&[
        ("TCPFastOpenPassive", 1),
        ("AttemptFails", 1),
        ("TCPAbortOnTimeout", 1),
    ]),
    Scenario::new(
        "tfo_unread",
        "close() with data unread before the handshake is over",
        tfo_unread,
    )
    .counters(&[
        ("TCPFastOpenPassive", 1),
        ("TCPAbortOnClose", 1),
        ("OutRsts", 1),
    ]),
    Scenario::new(
        "tfo_closed_early",
        "close() before the handshake is over, then an orderly end",
        tfo_closed_early,
    )
    .counters(&[("TCPFastOpenPassive", 1), ("OutRsts", 0)]),
    Scenario::new(
        "tfo_closed_and_vanished",
        "close() before the handshake is over, and the peer vanishes",
        tfo_closed_and_vanished,
    )
    .counters(&[("TCPFastOpenPassive", 1), ("TCPAbortOnTimeout", 1)]),
];

fn tfo_close(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fastopen", ON)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = fast_open(listener.local_addr()?)?;
    send(&client, b"12345")?;
    let (server, client_at) = listener.accept()?;
    let pair = Pair {
        server_at: server.local_addr()?,
        client,
        server,
        client_at,
    };
    read(&pair.server, b"12345")?;
    super::closes::client_first(net, pair)
}

/// A socket whose first write is the connect.
fn fast_open(to: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    set_number(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
    socket.connect(&to.into()).context("cannot connect")?;
    Ok(socket.into())
}

fn tfo_unanswered(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fastopen", ON)?;
    net.set("tcp_syn_retries", "1")?;
    net.set_if_there("tcp_syn_linear_timeouts", "0")?;
    let to = SocketAddr::from((VOID, 7000));
    let client = fast_open(to)?;
    client.set_nonblocking(true)?;
    send(&client, b"12345")?;
    let end = End::client(client.local_addr()?, to, "timeout_connect").left(0, 0, 5);
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

/// A scripted client that has sent 5 bytes in its SYN, the accepted socket, and the
/// listener, which would take its requests along if it closed.
pub(super) fn half_open(net: &Net) -> Result<(Peer, TcpStream, TcpListener)> {
    net.set("tcp_fastopen", ON)?;
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((net.loopback(), 0))?;
    peer.real = listener.local_addr()?;
    peer.send(SYN, b"12345")?;
    peer.expect(SYN | ACK)?;
    let (server, _) = listener.accept()?;
    net.wait_state(peer.real, peer.address, State::SynRecv)?;
    Ok((peer, server, listener))
}

fn tfo_reset(net: &Net) -> Result<Vec<End>> {
    let (mut peer, server, _listener) = half_open(net)?;
    peer.reset()?;
    wait_error(&server, libc::ECONNRESET)?;
    Ok(vec![server_of(&peer, "peer_reset").left(5, 0, 0)])
}

fn tfo_synack_unanswered(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_synack_retries", "0")?;
    let (peer, server, _listener) = half_open(net)?;
    wait_error(&server, libc::ETIMEDOUT)?;
    Ok(vec![server_of(&peer, "timeout_connect").left(5, 0, 0)])
}

fn tfo_unread(net: &Net) -> Result<Vec<End>> {
    let (peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "reset_unread_data")
        .closed_here(Closer::Close)
        .left(5, 0, 0);
    close(server);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn tfo_closed_early(net: &Net) -> Result<Vec<End>> {
    let (mut peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "active_close").closed_here(Closer::Close);
    read(&server, b"12345")?;
    close(server);
    net.wait_state(peer.real, peer.address, State::FinWait1)?;
    peer.send(ACK, b"")?;
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn tfo_closed_and_vanished(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let (peer, server, _listener) = half_open(net)?;
    let end = server_of(&peer, "timeout_orphan").closed_here(Closer::Close);
    read(&server, b"12345")?;
    close(server);
    net.wait_state(peer.real, peer.address, State::FinWait1)?;
    // Before, it would end the connection that a slow script has not closed yet.
    net.set("tcp_synack_retries", "0")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}
