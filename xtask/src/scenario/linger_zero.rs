//! `close()` with `SO_LINGER` 0 in the states that are neither ESTABLISHED nor CLOSE_WAIT.

use std::net::TcpStream;

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State, VOID};
use super::pair::{Pair, close, finish, linger_zero, send, wait_error};
use super::peer::{Peer, start_connect};
use super::scripted::{client_of, expect_reset};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

const RESET_IN_FLIGHT: &[(&str, i64)] = &[("TCPAbortOnData", 1), ("OutRsts", 1)];
const NOTHING_SENT: &[(&str, i64)] = &[("TCPAbortOnData", 1), ("OutRsts", 0)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "linger_zero_syn_sent",
        "close() with SO_LINGER 0 before the peer answers",
        linger_zero_syn_sent,
    )
    .counters(NOTHING_SENT),
    Scenario::new(
        "linger_zero_fin_wait1",
        "shutdown(WR), and close() with SO_LINGER 0 before it is acknowledged",
        linger_zero_fin_wait1,
    )
    .counters(RESET_IN_FLIGHT),
    Scenario::new(
        "linger_zero_fin_wait2",
        "shutdown(WR), and close() with SO_LINGER 0 after it is acknowledged",
        linger_zero_fin_wait2,
    )
    .counters(RESET_IN_FLIGHT),
    Scenario::new(
        "linger_zero_last_ack",
        "close() with SO_LINGER 0 in LAST_ACK, all sent",
        linger_zero_last_ack,
    )
    .counters(NOTHING_SENT),
    Scenario::new(
        "linger_zero_closing",
        "close() with SO_LINGER 0 in CLOSING, all sent",
        linger_zero_closing,
    )
    .counters(NOTHING_SENT),
    Scenario::new(
        "linger_zero_last_ack_unsent",
        "close() with SO_LINGER 0 in LAST_ACK, 20 bytes unsent",
        linger_zero_last_ack_unsent,
    )
    .counters(RESET_IN_FLIGHT),
    Scenario::new(
        "linger_zero_closing_unsent",
        "close() with SO_LINGER 0 in CLOSING, 20 bytes unsent",
        linger_zero_closing_unsent,
    )
    .counters(RESET_IN_FLIGHT),
];

fn linger_zero_syn_sent(net: &Net) -> Result<Vec<End>> {
    let to = (VOID, 7000).into();
    let client = start_connect(to)?;
    let local = client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    let end = End::client(local, to, "never_established").closed_here(Closer::Close);
    linger_zero(&client)?;
    close(client);
    Ok(vec![end])
}

fn linger_zero_fin_wait1(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_linger_zero")
        .closed_here(Closer::Shutdown)
        .half_closed(None);
    finish(&client)?;
    peer.see_fin()?;
    linger_zero(&client)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn linger_zero_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_linger_zero")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

fn linger_zero_last_ack(net: &Net) -> Result<Vec<End>> {
    let (peer, client) = in_last_ack(net, b"")?;
    let end = thrown_away(&peer, "dropped_silently", "peer");
    linger_zero(&client)?;
    close(client);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn linger_zero_closing(net: &Net) -> Result<Vec<End>> {
    let (peer, client) = in_closing(net, b"")?;
    let end = thrown_away(&peer, "dropped_silently", "both");
    linger_zero(&client)?;
    close(client);
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn linger_zero_last_ack_unsent(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = in_last_ack(net, &[b'x'; 30])?;
    let end = thrown_away(&peer, "reset_linger_zero", "peer").left(0, 20, 10);
    linger_zero(&client)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn linger_zero_closing_unsent(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = in_closing(net, &[b'x'; 30])?;
    let end = thrown_away(&peer, "reset_linger_zero", "both").left(0, 20, 10);
    linger_zero(&client)?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn thrown_away(peer: &Peer, ending: &'static str, initiator: &'static str) -> End {
    client_of(peer, ending)
        .closed_here(Closer::Shutdown)
        .initiator(initiator)
        .half_closed(None)
}

/// The peer takes 10 bytes at most and acknowledges none; its FIN came first.
pub(super) fn in_last_ack(net: &Net, data: &[u8]) -> Result<(Peer, TcpStream)> {
    let mut peer = Peer::new(net)?;
    peer.window = 10;
    let client = peer.accept(net)?;
    in_parts(&client, data)?;
    peer.send(FIN | ACK, b"")?;
    let (local, far) = (peer.real, peer.address);
    net.wait_state(local, far, State::CloseWait)?;
    finish(&client)?;
    net.wait_state(local, far, State::LastAck)?;
    Ok((peer, client))
}

/// The same, but both FINs come before the other's.
pub(super) fn in_closing(net: &Net, data: &[u8]) -> Result<(Peer, TcpStream)> {
    let mut peer = Peer::new(net)?;
    peer.window = 10;
    let client = peer.accept(net)?;
    in_parts(&client, data)?;
    finish(&client)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    Ok((peer, client))
}

/// What fits into the window first, so that it leaves at once.
fn in_parts(client: &TcpStream, data: &[u8]) -> Result<()> {
    let (first, rest) = data.split_at(data.len().min(10));
    for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
        send(client, part)?;
    }
    Ok(())
}
