//! Segments that look like an end and are none.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::thread;

use anyhow::{Result, anyhow};

use super::Scenario;
use super::late_data::into_minisock;
use super::net::{Net, State};
use super::pair::close;
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN, RST};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "reset_beside_the_number",
        "a RST whose number is in the window but not the next is challenged",
        reset_beside_the_number,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0), ("TCPChallengeACK", 1)]),
    Scenario::new(
        "reset_out_of_window_minisock",
        "a RST out of the window of a FIN_WAIT2 minisock",
        reset_out_of_window_minisock,
    )
    .counters(NO_RESET),
    Scenario::new(
        "old_segment_for_minisock",
        "an old ACK and old data for a FIN_WAIT2 minisock",
        old_segment_for_minisock,
    )
    .counters(NO_RESET),
    Scenario::new(
        "reset_in_time_wait_rfc1337",
        "a RST in TIME_WAIT with tcp_rfc1337=1",
        reset_in_time_wait_rfc1337,
    )
    .counters(NO_RESET),
    Scenario::new(
        "fin_again_in_time_wait",
        "the peer's FIN comes again in TIME_WAIT",
        fin_again_in_time_wait,
    )
    .counters(NO_RESET),
    Scenario::new(
        "reset_of_a_request_out_of_window",
        "a RST out of window before the handshake completes",
        reset_of_a_request_out_of_window,
    )
    .counters(&[("EmbryonicRsts", 0), ("AttemptFails", 0), ("OutRsts", 0)]),
    Scenario::new(
        "reset_of_a_request_challenged",
        "a RST beside the number before the handshake completes is challenged",
        reset_of_a_request_challenged,
    )
    .counters(&[("EmbryonicRsts", 0), ("AttemptFails", 0), ("OutRsts", 0)])
    .unless(requests_are_dropped),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

/// In the window that any socket offers, and not the next number.
const BESIDE: i32 = 100;
/// Before what was sent so far.
const BEFORE: i32 = -100_000;

fn reset_beside_the_number(net: &Net) -> Result<Vec<End>> {
    net.set_if_there("tcp_challenge_ack_limit", "1000")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = closed(client_of(&peer, "active_close"));
    peer.send_at(BESIDE, RST | ACK, b"")?;
    peer.expect(ACK)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn reset_out_of_window_minisock(net: &Net) -> Result<Vec<End>> {
    minisock_meets(net, |peer| peer.send_at(BEFORE, RST | ACK, b""))
}

fn old_segment_for_minisock(net: &Net) -> Result<Vec<End>> {
    minisock_meets(net, |peer| {
        peer.send_at(0, ACK, b"")?;
        peer.send_at(-1, ACK, b"1")
    })
}

/// What a FIN_WAIT2 minisock meets changes nothing: the FIN that comes after it does.
fn minisock_meets(net: &Net, act: fn(&mut Peer) -> Result<()>) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let end = into_minisock(net, &mut peer, "active_close")?;
    act(&mut peer)?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn reset_in_time_wait_rfc1337(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_rfc1337", "1")?;
    let (mut peer, end) = into_time_wait(net)?;
    peer.reset()?;
    // The answer to what follows shows that the RST was dealt with.
    peer.send_at(-1, FIN | ACK, b"")?;
    peer.expect(ACK)?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn fin_again_in_time_wait(net: &Net) -> Result<Vec<End>> {
    let (mut peer, end) = into_time_wait(net)?;
    peer.send_at(-1, FIN | ACK, b"")?;
    peer.expect(ACK)?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn into_time_wait(net: &Net) -> Result<(Peer, End)> {
    let mut peer = Peer::new(net)?;
    let end = into_minisock(net, &mut peer, "active_close")?;
    peer.send(FIN | ACK, b"")?;
    peer.expect(ACK)?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok((peer, end))
}

fn reset_of_a_request_out_of_window(net: &Net) -> Result<Vec<End>> {
    request_meets(net, BEFORE)
}

fn reset_of_a_request_challenged(net: &Net) -> Result<Vec<End>> {
    request_meets(net, BESIDE)
}

/// A RST that a request survives, and an orderly close of what comes of it.
fn request_meets(net: &Net, offset: i32) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut peer = Peer::new(net)?;
    peer.half_open(&listener)?;
    peer.send_at(offset, RST, b"")?;
    peer.send(ACK, b"")?;
    let (server, _) = listener.accept()?;
    let (local, far): (SocketAddr, SocketAddr) = (peer.real, peer.address);
    net.wait_state(local, far, State::Established)?;
    let end = closed(server_of(&peer, "active_close"));
    close(server);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(local, far, State::TimeWait)?;
    Ok(vec![end])
}

/// Some kernels drop a request at any RST in the window; whether this one does is tried out.
fn requests_are_dropped() -> Option<String> {
    static DROPPED: LazyLock<bool> = LazyLock::new(|| {
        let tried = thread::spawn(try_a_reset).join();
        let dropped = tried.map_err(|_panic| anyhow!("it panicked")).flatten();
        // What cannot be tried out here fails in the scenario, with its reason.
        dropped.unwrap_or(false)
    });
    DROPPED.then(|| "this kernel drops a request at any RST in the window".to_owned())
}

fn try_a_reset() -> Result<bool> {
    let net = Net::enter()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut peer = Peer::new(&net)?;
    peer.half_open(&listener)?;
    peer.send_at(BESIDE, RST, b"")?;
    Ok(net.counters()?.get("EmbryonicRsts") == Some(&1))
}

fn closed(end: End) -> End {
    end.closed_here(Closer::Close).attributes(&[])
}
