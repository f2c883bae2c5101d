//! Peers that say nothing more, and timers that run out.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::clock::wait_for;
use super::net::{Net, State, VOID};
use super::pair::{Pair, close, close_unheard, deafen, hear, read_end, send, wait_error};
use super::peer::{Peer, start_connect};
use super::scripted::client_of;
use super::truth::{Closer, End};
use super::{SLOW, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        SLOW,
        "TIME_WAIT runs out after 60 s and changes nothing",
        time_wait_expires,
    )
    .counters(&[("TW", 1), ("OutRsts", 0)]),
    Scenario::new(
        "connect_unanswered",
        "no SYN is answered",
        connect_unanswered,
    )
    .counters(&[
        ("ActiveOpens", 1),
        ("AttemptFails", 1),
        ("TCPAbortOnTimeout", 1),
    ]),
    Scenario::new(
        "data_unanswered",
        "data is never acknowledged",
        data_unanswered,
    )
    .counters(&[
        ("ActiveOpens", 1),
        ("EstabResets", 1),
        ("TCPAbortOnTimeout", 1),
        ("OutRsts", 0),
    ]),
    Scenario::new(
        "deaf_peer",
        "a real peer hears nothing until the other end has given up",
        deaf_peer,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("OutRsts", 1)])
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "fin_wait2_expires",
        "the peer never closes; the minisock runs out",
        fin_wait2_expires,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 1)])
    .beside(&[super::NO_SOCKET]),
];

fn time_wait_expires(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let (local, peer) = (pair.client_at, pair.server_at);
    let ends = super::closes::client_first(net, pair)?;
    wait_for("TIME_WAIT to run out", Duration::from_secs(100), || {
        Ok((net.connections()? == 0).then_some(()))
    })?;
    net.wait_gone(local, peer)?;
    Ok(ends)
}

fn connect_unanswered(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_syn_retries", "1")?;
    net.set_if_there("tcp_syn_linear_timeouts", "0")?;
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let end = End::client(client.local_addr()?, to, "timeout_connect");
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn data_unanswered(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    send(&client, b"12345")?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_retransmit").left(0, 0, 5)])
}

fn deaf_peer(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("timeout_retransmit").left(0, 0, 5),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Close)
            .initiator("local"),
    ];
    deafen(&pair.server)?;
    send(&pair.client, b"12345")?;
    wait_error(&pair.client, libc::ETIMEDOUT)?;
    hear(&pair.server)?;
    close_into_a_reset(net, pair.server, pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn fin_wait2_expires(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "1")?;
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("timeout_fin_wait2")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Close)
            .initiator("peer"),
    ];
    close_unheard(pair.client, &pair.server)?;
    read_end(&pair.server)?;
    net.wait_state(pair.server_at, pair.client_at, State::CloseWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    close_into_a_reset(net, pair.server, pair.server_at, pair.client_at)?;
    Ok(ends)
}

/// The other end is gone, so the FIN is answered with a reset.
fn close_into_a_reset(
    net: &Net,
    socket: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<()> {
    close(socket);
    net.wait_gone(local, peer)
}
