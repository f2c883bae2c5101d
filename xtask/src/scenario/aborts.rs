//! `close()` that resets on purpose, or for data that nobody read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::owners::Owner;
use super::pair::{Pair, close, finish, linger_zero, send, wait_error, wait_unread};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "unread_over_linger_zero",
        "close() with SO_LINGER 0 and 5 bytes unread",
        unread_over_linger_zero,
    )
    .counters(&[
        ("TCPAbortOnClose", 1),
        ("TCPAbortOnData", 0),
        ("OutRsts", 1),
    ]),
    Scenario::new(
        "unread_in_fin_wait2",
        "shutdown(WR), then close() with 5 bytes unread",
        unread_in_fin_wait2,
    )
    .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "linger_zero_mapped",
        "close() with SO_LINGER 0, IPv4 through IPv6 sockets",
        linger_zero_mapped,
    )
    .counters(&[("TCPAbortOnData", 1), ("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "linger_zero_killed",
        "a process that set SO_LINGER 0 is killed",
        linger_zero_killed,
    )
    .counters(&[("TCPAbortOnData", 1), ("EstabResets", 2), ("OutRsts", 1)]),
];

fn unread_over_linger_zero(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(5, 0, 0),
        pair.server_end("peer_reset"),
    ];
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn unread_in_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Shutdown)
            .half_closed(None)
            .left(5, 0, 0),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    close(pair.client);
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

fn linger_zero_mapped(_net: &Net) -> Result<Vec<End>> {
    let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    let pair = Pair::over(Ipv6Addr::UNSPECIFIED.into(), mapped)?;
    let ends = vec![
        pair.client_end("peer_reset"),
        pair.server_end("reset_linger_zero")
            .closed_here(Closer::Close),
    ];
    linger_zero(&pair.server)?;
    close(pair.server);
    wait_error(&pair.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn linger_zero_killed(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let client_end = pair.client_end("reset_linger_zero");
    let server_end = pair.server_end("peer_reset");
    linger_zero(&pair.client)?;
    let mut owner = Owner::of(pair.client)?;
    let client_end = owner.end(client_end);
    owner.child.kill()?;
    owner.child.wait()?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(vec![client_end, server_end])
}
