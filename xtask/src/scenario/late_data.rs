//! Data, or something like it, for an end that reads no more.

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{close, wait_error};
use super::peer::Peer;
use super::scripted::{client_of, expect_reset, server_of};
use super::segment::{ACK, FIN, SYN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "data_in_fin_wait2_orphan",
        "data for an orphan in FIN_WAIT2 that no minisock replaces yet",
        data_in_fin_wait2_orphan,
    )
    .counters(RESET_BY_SOCKET),
    Scenario::new(
        "data_in_closing",
        "data behind the peer's FIN in CLOSING is ignored",
        data_in_closing,
    )
    .counters(&[("TCPAbortOnData", 0), ("OutRsts", 0)]),
    Scenario::new(
        "data_over_fin_in_closing",
        "a segment in CLOSING that repeats the FIN's number and goes on",
        data_over_fin_in_closing,
    )
    .counters(RESET_BY_SOCKET),
    Scenario::new(
        "data_over_fin_in_last_ack",
        "the same in LAST_ACK",
        data_over_fin_in_last_ack,
    )
    .counters(RESET_BY_SOCKET),
    Scenario::new(
        "data_over_fin_in_close_wait",
        "the same in CLOSE_WAIT, before the application has closed",
        data_over_fin_in_close_wait,
    )
    .counters(&[("TCPAbortOnData", 1), ("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "fin_with_data_for_minisock",
        "data and FIN in one segment for a FIN_WAIT2 minisock",
        fin_with_data_for_minisock,
    )
    .counters(RESET_BY_MINISOCK),
    Scenario::new(
        "syn_for_minisock",
        "a SYN for a FIN_WAIT2 minisock",
        syn_for_minisock,
    )
    .counters(RESET_BY_MINISOCK),
];

const RESET_BY_SOCKET: &[(&str, i64)] =
    &[("TCPAbortOnData", 1), ("EstabResets", 0), ("OutRsts", 1)];
const RESET_BY_MINISOCK: &[(&str, i64)] =
    &[("TCPAbortOnData", 0), ("EstabResets", 0), ("OutRsts", 1)];

fn data_in_fin_wait2_orphan(net: &Net) -> Result<Vec<End>> {
    // Above a minute the full socket waits in FIN_WAIT2 itself.
    net.set("tcp_fin_timeout", "120")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "reset_data_after_close"));
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::FinWait2)?;
    peer.send(ACK, b"12345")?;
    reset_and_gone(net, &mut peer)?;
    Ok(vec![end])
}

fn data_in_closing(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "simultaneous_close"));
    close(client);
    let fin = peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    peer.send_at(0, ACK, b"12345")?;
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn data_over_fin_in_closing(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "reset_data_after_close")).initiator("both");
    close(client);
    peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    over_fin(&mut peer)?;
    reset_and_gone(net, &mut peer)?;
    Ok(vec![end])
}

fn data_over_fin_in_last_ack(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = closed(server_of(&peer, "reset_data_after_close")).initiator("peer");
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    close(server);
    peer.see_fin()?;
    over_fin(&mut peer)?;
    reset_and_gone(net, &mut peer)?;
    Ok(vec![end])
}

fn data_over_fin_in_close_wait(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "reset_data_after_close")
        .initiator("peer")
        .half_closed(None)
        .attributes(&[]);
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    over_fin(&mut peer)?;
    wait_error(&server, libc::EPIPE)?;
    reset_and_gone(net, &mut peer)?;
    Ok(vec![end])
}

/// Its first byte has the number of the FIN, the others come after it.
fn over_fin(peer: &mut Peer) -> Result<()> {
    peer.send_at(-1, ACK, b"12345")
}

fn fin_with_data_for_minisock(net: &Net) -> Result<Vec<End>> {
    for_minisock(net, |peer| peer.send(FIN | ACK, b"12345"))
}

fn syn_for_minisock(net: &Net) -> Result<Vec<End>> {
    for_minisock(net, |peer| peer.send(SYN, b""))
}

fn for_minisock(net: &Net, act: fn(&mut Peer) -> Result<()>) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let end = into_minisock(net, &mut peer, "reset_data_after_close")?;
    act(&mut peer)?;
    reset_and_gone(net, &mut peer)?;
    Ok(vec![end.attributes(&["minisock"])])
}

/// Closes a client whose peer acknowledges the FIN and sends none: a FIN_WAIT2 minisock is left.
pub(super) fn into_minisock(net: &Net, peer: &mut Peer, ending: &'static str) -> Result<End> {
    let client = peer.accept(net)?;
    let end = closed(client_of(peer, ending));
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    Ok(end)
}

fn reset_and_gone(net: &Net, peer: &mut Peer) -> Result<()> {
    expect_reset(peer)?;
    net.wait_gone(peer.real, peer.address)
}

fn closed(end: End) -> End {
    end.closed_here(Closer::Close).attributes(&[])
}
