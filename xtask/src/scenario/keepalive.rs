//! Keepalive that nobody answers, in every state in which it runs.

use std::net::{Ipv6Addr, Shutdown, TcpStream};
use std::time::Duration;

use anyhow::Result;
use socket2::{SockRef, TcpKeepalive};

use super::Scenario;
use super::give_up::gone_with;
use super::net::{Net, State};
use super::pair::{Pair, close, deafen, finish, hear, read_end, wait_error};
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN, Unreachable};
use super::truth::{Closer, End};

const GAVE_UP: &[(&str, i64)] = &[("EstabResets", 1), ("TCPAbortOnTimeout", 1), ("OutRsts", 1)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("keepalive", "an idle peer falls silent", keepalive).counters(GAVE_UP),
    Scenario::new(
        "keepalive_unreachable",
        "the same, and an ICMP error says why",
        keepalive_unreachable,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "keepalive_user_timeout",
        "the same with TCP_USER_TIMEOUT as the limit",
        keepalive_user_timeout,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "keepalive_close_wait",
        "the peer falls silent after its FIN",
        keepalive_close_wait,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "keepalive_fin_wait2",
        "the peer acknowledges our FIN and falls silent",
        keepalive_fin_wait2,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("OutRsts", 1)]),
    Scenario::new(
        "keepalive_v6",
        "a real IPv6 peer hears nothing until the other end has given up",
        keepalive_v6,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("OutRsts", 2)])
    .beside(&[super::NO_SOCKET]),
];

/// After 1 s of silence, one probe a second, given up after so many.
pub(super) fn watch(socket: &TcpStream, probes: u32) -> Result<()> {
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new()
        .with_time(second)
        .with_interval(second)
        .with_retries(probes);
    Ok(SockRef::from(socket).set_tcp_keepalive(&keepalive)?)
}

fn keepalive(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    watch(&server, 1)?;
    wait_error(&server, libc::ETIMEDOUT)?;
    Ok(vec![server_of(&peer, "timeout_keepalive")])
}

fn keepalive_unreachable(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    watch(&client, 2)?;
    let mut probe = peer.expect_any(&[ACK])?;
    // An ICMP error that quotes a number which is acknowledged already is not believed.
    probe.seq = probe.seq.wrapping_add(1);
    peer.unreachable(Unreachable::Host, &probe)?;
    gone_with(net, &peer, &client, libc::EHOSTUNREACH)?;
    Ok(vec![client_of(&peer, "timeout_keepalive")])
}

fn keepalive_user_timeout(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_millis(1500)))?;
    watch(&client, 9)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_keepalive")])
}

fn keepalive_close_wait(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    watch(&client, 1)?;
    peer.send(FIN | ACK, b"")?;
    read_end(&client)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_keepalive")])
}

fn keepalive_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_keepalive")
        .closed_here(Closer::Shutdown)
        .half_closed(Some(true));
    client.shutdown(Shutdown::Write)?;
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::FinWait2)?;
    watch(&client, 1)?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn keepalive_v6(net: &Net) -> Result<Vec<End>> {
    let local = Ipv6Addr::LOCALHOST.into();
    let pair = Pair::over(local, local)?;
    let ends = vec![
        pair.client_end("timeout_keepalive"),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true))
            .initiator("local"),
    ];
    deafen(&pair.server)?;
    watch(&pair.client, 1)?;
    wait_error(&pair.client, libc::ETIMEDOUT)?;
    hear(&pair.server)?;
    finish(&pair.server)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    close(pair.server);
    Ok(ends)
}
