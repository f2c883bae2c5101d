//! Orderly closes between two real sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener};

use anyhow::Result;

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read, read_end, send};
use super::truth::{Closer, End};

const ONE_CONNECTION: &[(&str, i64)] = &[
    ("ActiveOpens", 1),
    ("PassiveOpens", 1),
    ("EstabResets", 0),
    ("OutRsts", 0),
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "client_closes_first",
        "the client closes, then the server",
        client_closes_first,
    )
    .counters(ONE_CONNECTION),
    Scenario::new(
        "server_closes_first",
        "the server closes, then the client",
        server_closes_first,
    )
    .counters(ONE_CONNECTION),
    Scenario::new("data_then_close", "request, answer, close", data_then_close)
        .counters(ONE_CONNECTION),
    Scenario::new(
        "half_close",
        "shutdown(WR), and data comes back",
        half_close,
    )
    .counters(ONE_CONNECTION),
    Scenario::new(
        "shutdown_both",
        "shutdown(RDWR) instead of close",
        shutdown_both,
    )
    .counters(ONE_CONNECTION),
    Scenario::new("close_ipv6", "an orderly close over ::1", close_ipv6).counters(ONE_CONNECTION),
    Scenario::new("close_mapped", "IPv4 through IPv6 sockets", close_mapped)
        .counters(ONE_CONNECTION),
    Scenario::new(
        "one_port_many_connections",
        "200 short connections to one port",
        one_port_many_connections,
    )
    .counters(&[
        ("ActiveOpens", 200),
        ("PassiveOpens", 200),
        ("EstabResets", 0),
    ]),
];

fn client_closes_first(net: &Net) -> Result<Vec<End>> {
    client_first(net, Pair::new()?)
}

fn close_ipv6(net: &Net) -> Result<Vec<End>> {
    client_first(
        net,
        Pair::over(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())?,
    )
}

fn close_mapped(net: &Net) -> Result<Vec<End>> {
    let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    client_first(net, Pair::over(Ipv6Addr::UNSPECIFIED.into(), mapped)?)
}

/// Closes the client, waits until the peer has seen it, closes the server.
pub(super) fn client_first(net: &Net, pair: Pair) -> Result<Vec<End>> {
    let ends = vec![
        pair.client_end("active_close").closed_here(Closer::Close),
        pair.server_end("passive_close").closed_here(Closer::Close),
    ];
    close(pair.client);
    // The ACK of the FIN may meet the socket on its way out of close(): then it stays a full one.
    net.wait_fin_wait2(pair.client_at, pair.server_at)?;
    read_end(&pair.server)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn server_closes_first(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("passive_close").closed_here(Closer::Close),
        pair.server_end("active_close").closed_here(Closer::Close),
    ];
    close(pair.server);
    net.wait_minisock(pair.server_at, pair.client_at, State::FinWait2)?;
    read_end(&pair.client)?;
    close(pair.client);
    net.wait_minisock(pair.server_at, pair.client_at, State::TimeWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

fn data_then_close(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    send(&pair.client, b"request")?;
    read(&pair.server, b"request")?;
    send(&pair.server, b"answer")?;
    read(&pair.client, b"answer")?;
    let ends = client_first(net, pair)?;
    Ok(ends.into_iter().map(End::opened_here).collect())
}

fn half_close(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("active_close")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true)),
        pair.server_end("passive_close")
            .closed_here(Closer::Close)
            .half_closed(None),
    ];
    finish(&pair.client)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    send(&pair.server, b"late answer")?;
    read(&pair.client, b"late answer")?;
    close(pair.server);
    read_end(&pair.client)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    close(pair.client);
    Ok(ends)
}

fn shutdown_both(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("active_close")
            .closed_here(Closer::Shutdown),
        pair.server_end("passive_close").closed_here(Closer::Close),
    ];
    pair.client.shutdown(Shutdown::Both)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    close(pair.client);
    Ok(ends)
}

/// The kernel reuses socket addresses at once, so records must not run into each other.
fn one_port_many_connections(net: &Net) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    let mut ends = Vec::new();
    for round in 0..200 {
        let pair = Pair::through(&listener, to)?;
        let (client_ending, server_ending) = if round % 2 == 0 {
            ("active_close", "passive_close")
        } else {
            ("passive_close", "active_close")
        };
        ends.push(pair.client_end(client_ending).closed_here(Closer::Close));
        ends.push(pair.server_end(server_ending).closed_here(Closer::Close));
        let (first, second) = if round % 2 == 0 {
            (pair.client, pair.server)
        } else {
            (pair.server, pair.client)
        };
        close(first);
        read_end(&second)?;
        close(second);
    }
    close(listener);
    // A connect may reuse a TIME_WAIT that is older than a second, so their number varies.
    wait_for("the last ACK", CEILING, || {
        Ok((net.unfinished()? == 0).then_some(()))
    })?;
    Ok(ends)
}
