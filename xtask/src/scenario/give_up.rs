//! Data that is never acknowledged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::net::Net;
use super::pair::{Pair, close, deafen, hear, send, wait_error};
use super::peer::Peer;
use super::scripted::client_of;
use super::segment::{ACK, Unreachable};
use super::truth::{Closer, End};

pub(super) const GAVE_UP: &[(&str, i64)] =
    &[("EstabResets", 1), ("TCPAbortOnTimeout", 1), ("OutRsts", 0)];

const DEAF_PEER: &[(&str, i64)] = &[("EstabResets", 1), ("TCPAbortOnTimeout", 1), ("OutRsts", 1)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "data_unanswered_unreachable",
        "data is never acknowledged, and an ICMP error says why",
        data_unanswered_unreachable,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "data_unanswered_later",
        "an ICMP error about data, which is acknowledged, and then data that is not",
        data_unanswered_later,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "data_unanswered_v6",
        "a real IPv6 peer hears nothing until the other end has given up",
        |net| deaf_peer(net, Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
    )
    .counters(DEAF_PEER)
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "data_unanswered_mapped",
        "the same with IPv4 in IPv6",
        |net| {
            let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            deaf_peer(net, Ipv6Addr::UNSPECIFIED.into(), mapped.into())
        },
    )
    .counters(DEAF_PEER)
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "user_timeout",
        "data is not acknowledged within TCP_USER_TIMEOUT",
        user_timeout,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "user_timeout_unreachable",
        "the same, and an ICMP error says why",
        user_timeout_unreachable,
    )
    .counters(GAVE_UP),
];

fn data_unanswered_unreachable(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    send(&client, b"12345")?;
    let data = peer.expect(ACK)?;
    peer.unreachable(Unreachable::Host, &data)?;
    gone_with(net, &peer, &client, libc::EHOSTUNREACH)?;
    Ok(vec![client_of(&peer, "timeout_retransmit").left(0, 0, 5)])
}

/// `tcp_ack` clears the soft error.
fn data_unanswered_later(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_retries2", "2")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    send(&client, b"12345")?;
    let data = peer.expect(ACK)?;
    peer.unreachable(Unreachable::Host, &data)?;
    peer.send(ACK, b"")?;
    send(&client, b"6789")?;
    gone_with(net, &peer, &client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_retransmit").left(0, 0, 4)])
}

/// Waits for the end first: reading the error takes an ICMP error away that is still soft.
pub(super) fn gone_with(net: &Net, peer: &Peer, socket: &TcpStream, errno: i32) -> Result<()> {
    net.wait_gone(peer.real, peer.address)?;
    wait_error(socket, errno)
}

fn deaf_peer(net: &Net, listen: IpAddr, connect: IpAddr) -> Result<Vec<End>> {
    net.set("tcp_retries2", "1")?;
    let pair = Pair::over(listen, connect)?;
    let ends = vec![
        pair.client_end("timeout_retransmit").left(0, 0, 5),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Close)
            .initiator("local"),
    ];
    deafen(&pair.server)?;
    send(&pair.client, b"12345")?;
    wait_error(&pair.client, libc::ETIMEDOUT)?;
    hear(&pair.server)?;
    close(pair.server);
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn user_timeout(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    bound(&client, Duration::from_millis(500))?;
    send(&client, b"12345")?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![client_of(&peer, "timeout_user").left(0, 0, 5)])
}

fn user_timeout_unreachable(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    bound(&client, Duration::from_millis(500))?;
    send(&client, b"12345")?;
    let data = peer.expect(ACK)?;
    peer.unreachable(Unreachable::Host, &data)?;
    gone_with(net, &peer, &client, libc::EHOSTUNREACH)?;
    Ok(vec![client_of(&peer, "timeout_user").left(0, 0, 5)])
}

/// Sets TCP_USER_TIMEOUT.
pub(super) fn bound(socket: &TcpStream, limit: Duration) -> Result<()> {
    Ok(SockRef::from(socket).set_tcp_user_timeout(Some(limit))?)
}
