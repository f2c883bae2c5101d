//! A RST of the peer, in every state that can take one.

use std::net::TcpListener;

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{close, finish, wait_error};
use super::peer::Peer;
use super::scripted::{client_of, reset_in_fin_wait2, server_of};
use super::segment::{ACK, FIN, RST};
use super::truth::{Closer, End};

/// Where the RST's number lies, seen from the next in order.
const IN_ORDER: i32 = 0;
/// `tcp_reset_check` takes it after a FIN: some hosts send it so.
const AT_THE_FIN: i32 = -1;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "reset_in_established",
        "RST in ESTABLISHED",
        reset_in_established,
    )
    .counters(&[("PassiveOpens", 1), ("EstabResets", 1), ("OutRsts", 0)]),
    Scenario::new("reset_in_close_wait", "RST in CLOSE_WAIT", |net| {
        reset_in_close_wait(net, IN_ORDER)
    })
    .counters(&[("PassiveOpens", 1), ("EstabResets", 1), ("OutRsts", 0)]),
    Scenario::new(
        "reset_at_the_fin_close_wait",
        "RST with the number of the FIN before it, in CLOSE_WAIT",
        |net| reset_in_close_wait(net, AT_THE_FIN),
    )
    .counters(&[("PassiveOpens", 1), ("EstabResets", 1), ("OutRsts", 0)]),
    Scenario::new("reset_at_the_fin_last_ack", "the same in LAST_ACK", |net| {
        reset_in_last_ack(net, AT_THE_FIN)
    })
    .counters(&[("PassiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new("reset_in_fin_wait1", "RST in FIN_WAIT1", reset_in_fin_wait1).counters(&[
        ("ActiveOpens", 1),
        ("EstabResets", 0),
        ("OutRsts", 0),
    ]),
    Scenario::new(
        "reset_in_fin_wait2",
        "RST in FIN_WAIT2 of a full socket",
        reset_in_fin_wait2,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "reset_in_fin_wait2_minisock",
        "RST for a FIN_WAIT2 minisock",
        reset_in_fin_wait2_minisock,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new("reset_in_closing", "RST in CLOSING", reset_in_closing).counters(&[
        ("ActiveOpens", 1),
        ("EstabResets", 0),
        ("OutRsts", 0),
    ]),
    Scenario::new("reset_in_last_ack", "RST in LAST_ACK", |net| {
        reset_in_last_ack(net, IN_ORDER)
    })
    .counters(&[("PassiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "reset_in_time_wait",
        "RST in TIME_WAIT changes nothing (RFC 1337)",
        reset_in_time_wait,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "reset_of_a_request",
        "RST before the handshake completes is no connection",
        reset_of_a_request,
    )
    .counters(&[
        ("PassiveOpens", 0),
        ("AttemptFails", 1),
        ("EmbryonicRsts", 1),
    ])
    .beside(&[super::REQUEST]),
];

fn reset_in_established(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    peer.reset()?;
    wait_error(&server, libc::ECONNRESET)?;
    Ok(vec![server_of(&peer, "peer_reset")])
}

fn reset_in_close_wait(net: &Net, number: i32) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    peer.send_at(number, RST | ACK, b"")?;
    wait_error(&server, libc::EPIPE)?;
    Ok(vec![
        server_of(&peer, "peer_reset_after_fin").half_closed(None),
    ])
}

fn reset_in_fin_wait1(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "peer_reset_while_closing")
        .closed_here(Closer::Shutdown)
        .initiator("local")
        .half_closed(None);
    finish(&client)?;
    peer.see_fin()?;
    peer.reset()?;
    wait_error(&client, libc::ECONNRESET)?;
    Ok(vec![end])
}

fn reset_in_fin_wait2_minisock(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "peer_reset_while_closing")
        .closed_here(Closer::Close)
        .initiator("local");
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    peer.reset()?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn reset_in_closing(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "peer_reset_while_closing")
        .closed_here(Closer::Close)
        .initiator("both");
    close(client);
    peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    peer.reset()?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn reset_in_last_ack(net: &Net, number: i32) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "peer_reset_while_closing")
        .closed_here(Closer::Close)
        .initiator("peer");
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    close(server);
    peer.see_fin()?;
    peer.send_at(number, RST | ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn reset_in_time_wait(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    peer.reset()?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn reset_of_a_request(net: &Net) -> Result<Vec<End>> {
    let listener = TcpListener::bind((net.loopback(), 0))?;
    let mut peer = Peer::new(net)?;
    peer.half_open(&listener)?;
    peer.reset()?;
    Ok(Vec::new())
}
