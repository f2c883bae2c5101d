//! FIN_WAIT2 of a full socket that nobody holds.
//!
//! The kernel keeps it as long as `tcp_fin_timeout` is above a minute, for what is above;
//! then a minisock takes over.

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, read_end};
use super::peer::Peer;
use super::scripted::{client_of, expect_reset};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "full_fin_wait2_late_expiry",
        "a full socket in FIN_WAIT2, then a minisock, then nobody",
        late_expiry,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 1)])
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "full_fin_wait2_late_handover",
        "a full socket in FIN_WAIT2, then a minisock, then the peer's FIN",
        late_handover,
    )
    .counters(NO_RESET),
    Scenario::new(
        "full_fin_wait2_fin",
        "the peer's FIN for a full socket in FIN_WAIT2",
        fin,
    )
    .counters(NO_RESET),
    Scenario::new(
        "full_fin_wait2_reset",
        "a RST for a full socket in FIN_WAIT2 that nobody holds",
        reset,
    )
    .counters(NO_RESET),
    Scenario::new(
        "full_fin_wait2_runs_out",
        "tcp_fin_timeout was lowered meanwhile: the full socket resets a silent peer",
        runs_out,
    )
    .counters(&[
        ("EstabResets", 0),
        ("OutRsts", 1),
        ("TCPAbortOnTimeout", 0),
        ("TCPAbortOnLinger", 0),
    ]),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

fn late_expiry(net: &Net) -> Result<Vec<End>> {
    // One second as a full socket, and the second after the minute as a minisock.
    net.set("tcp_fin_timeout", "61")?;
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("timeout_fin_wait2")).attributes(&["minisock"]),
        closed(pair.server_end("peer_reset_while_closing")).initiator("peer"),
    ];
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    // Its FIN meets nobody and is answered with a reset.
    close(pair.server);
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn late_handover(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "63")?;
    let pair = Pair::new()?;
    let ends = orderly(&pair);
    close(pair.client);
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    // When the full socket's three seconds are over, the minisock gets another minute.
    net.set("tcp_fin_timeout", "120")?;
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn fin(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "120")?;
    let pair = Pair::new()?;
    let ends = orderly(&pair);
    close(pair.client);
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn orderly(pair: &Pair) -> Vec<End> {
    vec![
        closed(pair.client_end("active_close")),
        closed(pair.server_end("passive_close")),
    ]
}

fn reset(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "120")?;
    let mut peer = Peer::new(net)?;
    let end = into_full(net, &mut peer, "peer_reset_while_closing")?.initiator("local");
    peer.reset()?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn runs_out(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_fin_timeout", "63")?;
    let mut peer = Peer::new(net)?;
    let end = into_full(net, &mut peer, "timeout_fin_wait2")?.attributes(&["reset_sent"]);
    net.set("tcp_fin_timeout", "1")?;
    expect_reset(&mut peer)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

/// Closes a client whose peer acknowledges the FIN: the full socket stays in FIN_WAIT2.
fn into_full(net: &Net, peer: &mut Peer, ending: &'static str) -> Result<End> {
    let client = peer.accept(net)?;
    let end = closed(client_of(peer, ending));
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::FinWait2)?;
    Ok(end)
}

fn closed(end: End) -> End {
    end.closed_here(Closer::Close).attributes(&[])
}
