//! Closes that need a peer which does exactly what the script says.

use std::net::{Shutdown, TcpStream};

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{close, linger_zero, send, wait_error};
use super::peer::Peer;
use super::segment::{ACK, FIN, RST};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "simultaneous_client",
        "both FINs cross on the way",
        simultaneous_client,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "simultaneous_server",
        "both FINs cross; the listener's side",
        simultaneous_server,
    )
    .counters(&[("PassiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "three_segments",
        "the peer's FIN acknowledges ours",
        three_segments,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "data_after_close_unacked_fin",
        "data for an orphan in FIN_WAIT1",
        data_after_close_unacked_fin,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
    Scenario::new(
        "data_with_ack_of_fin",
        "the segment that acknowledges our FIN carries data",
        data_with_ack_of_fin,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
    Scenario::new(
        "left_behind",
        "close() with SO_LINGER 0, 10 bytes unacknowledged, 20 unsent",
        left_behind,
    )
    .counters(&[("TCPAbortOnData", 1), ("EstabResets", 1), ("OutRsts", 1)]),
];

/// The truth about a client whose peer is scripted.
pub(super) fn client_of(peer: &Peer, ending: &'static str) -> End {
    End::client(peer.real, peer.address, ending)
}

/// The truth about an accepted socket whose peer is scripted.
pub(super) fn server_of(peer: &Peer, ending: &'static str) -> End {
    End::server(peer.real, peer.address, ending)
}

fn simultaneous_client(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "simultaneous_close").closed_here(Closer::Close);
    cross(net, &mut peer, client)?;
    Ok(vec![end])
}

fn simultaneous_server(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "simultaneous_close").closed_here(Closer::Close);
    cross(net, &mut peer, server)?;
    Ok(vec![end])
}

fn cross(net: &Net, peer: &mut Peer, socket: TcpStream) -> Result<()> {
    let (local, far) = (peer.real, peer.address);
    close(socket);
    let fin = peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(local, far, State::Closing)?;
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_minisock(local, far, State::TimeWait)
}

fn three_segments(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn data_after_close_unacked_fin(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_data_after_close").closed_here(Closer::Close);
    close(client);
    peer.see_fin()?;
    peer.send(ACK, b"12345")?;
    expect_reset(&mut peer)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn data_with_ack_of_fin(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_data_after_close").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"12345")?;
    expect_reset(&mut peer)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn left_behind(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    peer.window = 10;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_linger_zero")
        .closed_here(Closer::Close)
        .left(0, 20, 10);
    send(&client, &[b'a'; 10])?;
    send(&client, &[b'b'; 20])?;
    linger_zero(&client)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

/// A reset with or without ACK, whichever this path of the kernel sends.
pub(super) fn expect_reset(peer: &mut Peer) -> Result<()> {
    peer.expect_any(&[RST, RST | ACK]).map(drop)
}

/// The peer resets a socket that `shutdown(RDWR)` left in `FIN_WAIT2`.
pub(super) fn reset_in_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "peer_reset_while_closing")
        .closed_here(Closer::Shutdown)
        .initiator("local");
    client.shutdown(Shutdown::Both)?;
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::FinWait2)?;
    peer.reset()?;
    wait_error(&client, libc::ECONNRESET)?;
    Ok(vec![end])
}
