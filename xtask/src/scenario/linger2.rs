//! FIN_WAIT2 that the application or the kernel cuts short: `TCP_LINGER2` below 0, and a full
//! socket that waits for the peer's FIN with a timer of its own.

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read_end, wait_error};
use super::peer::Peer;
use super::raw::set_number;
use super::scripted::{client_of, expect_reset};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "linger2_in_fin_wait2",
        "close() in FIN_WAIT2 with TCP_LINGER2 below 0",
        linger2_in_fin_wait2,
    )
    .counters(&[("TCPAbortOnLinger", 1), ("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "linger2_at_close",
        "close() with TCP_LINGER2 below 0; the peer's kernel acknowledges at once",
        linger2_at_close,
    )
    .counters(&[("TCPAbortOnData", 1), ("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "linger2_acknowledged_later",
        "close() with TCP_LINGER2 below 0; the ACK comes later",
        linger2_acknowledged_later,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
    Scenario::new(
        "fin_wait2_timer_resets",
        "the timer of an orphan's full socket ends FIN_WAIT2 with a reset",
        fin_wait2_timer_resets,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1), ("TCPAbortOnTimeout", 0)]),
    Scenario::new(
        "fin_wait2_timer_hands_over",
        "tcp_fin_timeout of over a minute: a full socket first, then a minisock that expires",
        fin_wait2_timer_hands_over,
    )
    .counters(&[("OutRsts", 0)]),
    Scenario::new(
        "fin_wait2_full_gets_fin",
        "tcp_fin_timeout of over a minute, and the FIN comes for the orphan's full socket",
        fin_wait2_full_gets_fin,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0)]),
];

fn linger2_below_zero(socket: impl std::os::fd::AsFd) -> Result<()> {
    Ok(set_number(
        socket,
        libc::IPPROTO_TCP,
        libc::TCP_LINGER2,
        -1,
    )?)
}

fn linger2_in_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_linger2")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    linger2_below_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

fn linger2_at_close(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_linger2").closed_here(Closer::Close),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    linger2_below_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

fn linger2_acknowledged_later(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_linger2").closed_here(Closer::Close);
    linger2_below_zero(&client)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

/// Above a minute the full socket stays, with a timer for what is above.
const A_SECOND_ABOVE: &str = "61";

fn fin_wait2_timer_resets(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", A_SECOND_ABOVE)?;
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("timeout_fin_wait2")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    // When the timer fires, nothing of the new timeout is left for a minisock.
    net.set("tcp_fin_timeout", "1")?;
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

fn fin_wait2_timer_hands_over(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", A_SECOND_ABOVE)?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_fin_wait2").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn fin_wait2_full_gets_fin(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "120")?;
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("active_close").closed_here(Closer::Close),
        pair.server_end("passive_close").closed_here(Closer::Close),
    ];
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    Ok(ends)
}
