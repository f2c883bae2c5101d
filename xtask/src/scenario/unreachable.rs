//! ICMP errors: what they kill, and what they do not.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::Scenario;
use super::net::{Net, State};
use super::pair::{close, read_end, send, wait_error};
use super::peer::{Peer, Tap, start_connect};
use super::raw::set_number;
use super::scripted::client_of;
use super::segment::{ACK, FIN, SYN, Unreachable};
use super::truth::{Closer, End};

const KILLED: &[(&str, i64)] = &[
    ("ActiveOpens", 1),
    ("AttemptFails", 1),
    ("TCPAbortOnTimeout", 0),
];

const UNHARMED: &[(&str, i64)] = &[
    ("ActiveOpens", 1),
    ("EstabResets", 0),
    ("TCPAbortOnTimeout", 0),
    ("OutRsts", 0),
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("host_unreachable", "ICMP answers the SYN", |net| {
        connecting(net, Unreachable::Host)
    })
    .counters(KILLED),
    Scenario::new("port_unreachable", "ICMP says that nobody listens", |net| {
        connecting(net, Unreachable::Port)
    })
    .counters(KILLED),
    Scenario::new("prohibited", "a firewall's ICMP answers the SYN", |net| {
        connecting(net, Unreachable::Prohibited)
    })
    .counters(KILLED),
    Scenario::new(
        "unreachable_after_a_while",
        "ICMP answers the SYN only when it is sent again",
        unreachable_after_a_while,
    )
    .counters(KILLED),
    Scenario::new(
        "icmp_in_established",
        "an ICMP error about data, and then an orderly close",
        |net| established(net, 0),
    )
    .counters(UNHARMED),
    Scenario::new(
        "icmp_in_established_told",
        "the same, and IP_RECVERR tells the application",
        |net| established(net, 1),
    )
    .counters(UNHARMED),
    Scenario::new(
        "icmp_then_passive_close",
        "the same, and the peer closes first",
        icmp_then_passive_close,
    )
    .counters(UNHARMED),
];

fn connecting(net: &Net, why: Unreachable) -> Result<Vec<End>> {
    let mut tap = Tap::open(net.void())?;
    let to = SocketAddr::new(net.void(), 7000);
    let client = start_connect(to)?;
    let end = End::client(client.local_addr()?, to, "unreachable");
    let syn = tap.next_to(net.void())?;
    if syn.flags != SYN {
        bail!("expected a SYN, got {syn:?}");
    }
    tap.send_unreachable(why, &syn)?;
    net.wait_gone(client.local_addr()?, to)?;
    wait_error(&client, errno(why, to))?;
    Ok(vec![end])
}

/// `icmp_err_convert` and `icmpv6_err_convert`, which call a firewall's answer differently.
fn errno(why: Unreachable, to: SocketAddr) -> i32 {
    match (why, to) {
        (Unreachable::Port, _) => libc::ECONNREFUSED,
        (Unreachable::Prohibited, SocketAddr::V6(_)) => libc::EACCES,
        (Unreachable::Host | Unreachable::Prohibited, _) => libc::EHOSTUNREACH,
    }
}

fn unreachable_after_a_while(net: &Net) -> Result<Vec<End>> {
    let mut tap = Tap::open(net.void())?;
    let to = SocketAddr::new(net.void(), 7000);
    let client = start_connect(to)?;
    let end = End::client(client.local_addr()?, to, "unreachable");
    tap.next_to(net.void())?;
    let again = tap.next_to(net.void())?;
    tap.send_unreachable(Unreachable::Host, &again)?;
    net.wait_gone(client.local_addr()?, to)?;
    wait_error(&client, libc::EHOSTUNREACH)?;
    Ok(vec![end])
}

fn established(net: &Net, tell: i32) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    set_number(&client, libc::IPPROTO_IP, libc::IP_RECVERR, tell)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    icmp_about_data(&mut peer, &client)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(vec![end])
}

fn icmp_then_passive_close(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    set_number(&client, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    let end = client_of(&peer, "passive_close").closed_here(Closer::Close);
    peer.send(FIN | ACK, b"")?;
    read_end(&client)?;
    icmp_about_data(&mut peer, &client)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end.half_closed(Some(true))])
}

/// Data is on its way when the error comes, and is acknowledged later.
fn icmp_about_data(peer: &mut Peer, client: &std::net::TcpStream) -> Result<()> {
    send(client, b"12345")?;
    let data = peer.expect(ACK)?;
    let before = received_errors()?;
    peer.unreachable(Unreachable::Host, &data)?;
    super::clock::wait_for("the ICMP error", super::clock::CEILING, || {
        Ok((received_errors()? > before).then_some(()))
    })?;
    peer.send(ACK, b"")
}

/// Of either family.
fn received_errors() -> Result<i64> {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Icmp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        bail!("no ICMP counters");
    };
    let place = names.split(' ').position(|name| name == "InDestUnreachs");
    let value = place.and_then(|place| values.split(' ').nth(place));

    let text = std::fs::read_to_string("/proc/thread-self/net/snmp6")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Icmp6InDestUnreachs"));
    let value_v6: i64 = line.unwrap_or("0").trim().parse()?;
    Ok(value_v6 + value.unwrap_or("0").parse::<i64>()?)
}
