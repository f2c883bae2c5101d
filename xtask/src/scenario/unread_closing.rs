//! `close()` with data unread, and `connect(AF_UNSPEC)`, in the states between our FIN and its
//! acknowledgement.

use std::net::TcpStream;

use anyhow::Result;

use super::Scenario;
use super::linger_zero::{in_closing, in_last_ack};
use super::net::{Net, State};
use super::pair::{close, finish, wait_unread};
use super::peer::Peer;
use super::raw::disconnect;
use super::scripted::{client_of, expect_reset};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

const UNREAD: &[(&str, i64)] = &[("TCPAbortOnClose", 1), ("EstabResets", 0), ("OutRsts", 1)];
const RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 1)];
const NOTHING_SENT: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "unread_in_fin_wait1",
        "shutdown(WR), and close() with 5 bytes unread before it is acknowledged",
        unread_in_fin_wait1,
    )
    .counters(UNREAD),
    Scenario::new(
        "unread_in_closing",
        "close() with 5 bytes unread in CLOSING",
        unread_in_closing,
    )
    .counters(UNREAD),
    Scenario::new(
        "unread_in_last_ack",
        "close() with 5 bytes unread in LAST_ACK",
        unread_in_last_ack,
    )
    .counters(UNREAD),
    Scenario::new(
        "disconnected_fin_wait1",
        "shutdown(WR), and connect(AF_UNSPEC) before it is acknowledged",
        disconnected_fin_wait1,
    )
    .counters(RESET),
    Scenario::new(
        "disconnected_closing",
        "connect(AF_UNSPEC) in CLOSING, all sent: no reset",
        disconnected_closing,
    )
    .counters(NOTHING_SENT),
    Scenario::new(
        "disconnected_last_ack",
        "connect(AF_UNSPEC) in LAST_ACK, all sent: no reset",
        disconnected_last_ack,
    )
    .counters(NOTHING_SENT),
];

/// A client that has 5 bytes to read.
fn with_unread(net: &Net) -> Result<(Peer, TcpStream)> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    peer.send(ACK, b"12345")?;
    wait_unread(&client, 5)?;
    Ok((peer, client))
}

fn shut(peer: &Peer, ending: &'static str, initiator: &'static str) -> End {
    client_of(peer, ending)
        .closed_here(Closer::Shutdown)
        .initiator(initiator)
        .half_closed(None)
}

fn unread_in_fin_wait1(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = with_unread(net)?;
    let end = shut(&peer, "reset_unread_data", "local").left(5, 0, 0);
    finish(&client)?;
    peer.see_fin()?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn unread_in_closing(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = with_unread(net)?;
    let end = shut(&peer, "reset_unread_data", "both").left(5, 0, 0);
    finish(&client)?;
    peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn unread_in_last_ack(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = with_unread(net)?;
    let end = shut(&peer, "reset_unread_data", "peer").left(5, 0, 0);
    let (local, far) = (peer.real, peer.address);
    peer.send(FIN | ACK, b"")?;
    net.wait_state(local, far, State::CloseWait)?;
    finish(&client)?;
    net.wait_state(local, far, State::LastAck)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn disconnected_fin_wait1(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = shut(&peer, "reset_disconnect", "local");
    finish(&client)?;
    peer.see_fin()?;
    disconnect(&client)?;
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn disconnected_closing(net: &Net) -> Result<Vec<End>> {
    let (peer, client) = in_closing(net, b"")?;
    let end = shut(&peer, "dropped_silently", "both");
    disconnect(&client)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn disconnected_last_ack(net: &Net) -> Result<Vec<End>> {
    let (peer, client) = in_last_ack(net, b"")?;
    let end = shut(&peer, "dropped_silently", "peer");
    disconnect(&client)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}
