//! ICMP errors: what they kill, and what they do not.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::Scenario;
use super::give_up::HOST_UNREACHABLE;
use super::net::{Net, State, VOID};
use super::pair::{close, read_end, send, wait_error};
use super::peer::{Peer, Tap, start_connect};
use super::raw::set_number;
use super::scripted::client_of;
use super::segment::{ACK, FIN, SYN};
use super::truth::{Closer, End};

const PORT_UNREACHABLE: u8 = 3;
/// "Communication administratively prohibited": a firewall says no.
const PROHIBITED: u8 = 13;

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
        connecting(net, HOST_UNREACHABLE, libc::EHOSTUNREACH)
    })
    .counters(KILLED),
    Scenario::new("port_unreachable", "ICMP says that nobody listens", |net| {
        connecting(net, PORT_UNREACHABLE, libc::ECONNREFUSED)
    })
    .counters(KILLED),
    Scenario::new("prohibited", "a firewall's ICMP answers the SYN", |net| {
        connecting(net, PROHIBITED, libc::EHOSTUNREACH)
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

fn connecting(net: &Net, code: u8, errno: i32) -> Result<Vec<End>> {
    let mut tap = Tap::open()?;
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let end = End::client(client.local_addr()?, to, "unreachable");
    let syn = tap.next_to(VOID)?;
    if syn.flags != SYN {
        bail!("expected a SYN, got {syn:?}");
    }
    tap.send_unreachable(code, &syn)?;
    net.wait_gone(client.local_addr()?, to)?;
    wait_error(&client, errno)?;
    Ok(vec![end])
}

fn unreachable_after_a_while(net: &Net) -> Result<Vec<End>> {
    let mut tap = Tap::open()?;
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let end = End::client(client.local_addr()?, to, "unreachable");
    tap.next_to(VOID)?;
    let again = tap.next_to(VOID)?;
    tap.send_unreachable(HOST_UNREACHABLE, &again)?;
    net.wait_gone(client.local_addr()?, to)?;
    wait_error(&client, libc::EHOSTUNREACH)?;
    Ok(vec![end])
}

fn established(net: &Net, tell: i32) -> Result<Vec<End>> {
    let mut peer = Peer::new()?;
    let client = peer.accept(net)?;
    set_number(&client, libc::IPPROTO_IP, libc::IP_RECVERR, tell)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    icmp_about_data(&mut peer, &client)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real.into(), peer.address.into(), State::TimeWait)?;
    Ok(vec![end])
}

fn icmp_then_passive_close(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new()?;
    let client = peer.accept(net)?;
    set_number(&client, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    let end = client_of(&peer, "passive_close").closed_here(Closer::Close);
    peer.send(FIN | ACK, b"")?;
    read_end(&client)?;
    icmp_about_data(&mut peer, &client)?;
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_gone(peer.real.into(), peer.address.into())?;
    Ok(vec![end.half_closed(Some(true))])
}

/// Data is on its way when the error comes, and is acknowledged later.
fn icmp_about_data(peer: &mut Peer, client: &std::net::TcpStream) -> Result<()> {
    send(client, b"12345")?;
    let data = peer.expect(ACK)?;
    let before = received_errors()?;
    peer.unreachable(HOST_UNREACHABLE, &data)?;
    super::clock::wait_for("the ICMP error", super::clock::CEILING, || {
        Ok((received_errors()? > before).then_some(()))
    })?;
    peer.send(ACK, b"")
}

fn received_errors() -> Result<i64> {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Icmp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        bail!("no ICMP counters");
    };
    let place = names.split(' ').position(|name| name == "InDestUnreachs");
    let value = place.and_then(|place| values.split(' ').nth(place));
    Ok(value.unwrap_or("0").parse()?)
}
