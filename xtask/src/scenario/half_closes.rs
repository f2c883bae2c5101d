//! shutdown() of the send side, before close() or instead of it.

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read_end};
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "shutdown_in_close_wait",
        "shutdown(WR) after the peer's FIN; close() after CLOSE",
        shutdown_in_close_wait,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shutdown_then_close_in_fin_wait1",
        "shutdown(WR), and close() before the FIN is acknowledged",
        close_in_fin_wait1,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shutdown_then_close_in_fin_wait2",
        "shutdown(WR), and close() when the FIN is acknowledged",
        close_in_fin_wait2,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shutdown_then_close_in_closing",
        "shutdown(WR), the FINs cross, close()",
        close_in_closing,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shutdown_then_close_in_last_ack",
        "shutdown(WR) after the peer's FIN, and close() before it is acknowledged",
        close_in_last_ack,
    )
    .counters(NO_RESET),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

fn shutdown_in_close_wait(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("active_close"), Closer::Close),
        closed(pair.server_end("passive_close"), Closer::Shutdown),
    ];
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_fin_wait2(pair.client_at, pair.server_at)?;
    finish(&pair.server)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    close(pair.server);
    Ok(ends)
}

fn close_in_fin_wait1(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "active_close"), Closer::Shutdown).half_closed(Some(true));
    finish(&client)?;
    let fin = peer.see_fin()?;
    close(client);
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn close_in_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("active_close"), Closer::Shutdown).half_closed(Some(true)),
        closed(pair.server_end("passive_close"), Closer::Close),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.client);
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn close_in_closing(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "simultaneous_close"), Closer::Shutdown).half_closed(None);
    finish(&client)?;
    let fin = peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    close(client);
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn close_in_last_ack(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = closed(server_of(&peer, "passive_close"), Closer::Shutdown);
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    finish(&server)?;
    let fin = peer.see_fin()?;
    close(server);
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn closed(end: End, closer: Closer) -> End {
    end.closed_here(closer).attributes(&[])
}
