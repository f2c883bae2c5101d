//! The same endings over IPv6, and over IPv4 through IPv6 sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, linger_zero, read_end, send, wait_error};
use super::truth::{Closer, End, canonical};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("handover_ipv6", "half close over ::1", |net| {
        handover(net, V6)
    })
    .counters(NO_RESET),
    Scenario::new(
        "handover_mapped",
        "half close, IPv4 through IPv6 sockets",
        |net| handover(net, MAPPED),
    )
    .counters(NO_RESET),
    Scenario::new(
        "late_data_ipv6",
        "data for a FIN_WAIT2 minisock over ::1",
        |net| late_data(net, V6),
    )
    .counters(&[("OutRsts", 1)]),
    Scenario::new(
        "late_data_mapped",
        "data for a FIN_WAIT2 minisock, IPv4 through IPv6 sockets",
        |net| late_data(net, MAPPED),
    )
    .counters(&[("OutRsts", 1)]),
    Scenario::new("peer_reset_ipv6", "a RST over ::1", |net| reset(net, V6))
        .counters(&[("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "peer_reset_mapped",
        "a RST, IPv4 through IPv6 sockets",
        |net| reset(net, MAPPED),
    )
    .counters(&[("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new("refused_ipv6", "nobody listens at ::1", |net| {
        refused(net, V6)
    })
    .counters(&[("AttemptFails", 1), ("OutRsts", 1)])
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "refused_mapped",
        "nobody listens; IPv4 through IPv6 sockets",
        |net| refused(net, MAPPED),
    )
    .counters(&[("AttemptFails", 1), ("OutRsts", 1)])
    .beside(&[super::NO_SOCKET]),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

/// Where to listen, and where to connect to.
type Way = (Ipv6Addr, Ipv6Addr);

const V6: Way = (Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
const MAPPED: Way = (Ipv6Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST.to_ipv6_mapped());

fn connected((listen, connect): Way) -> Result<Pair> {
    Pair::over(listen.into(), connect.into())
}

fn handover(net: &Net, way: Way) -> Result<Vec<End>> {
    let pair = connected(way)?;
    let ends = vec![
        plain(
            pair.client_end("active_close")
                .closed_here(Closer::Shutdown),
        )
        .half_closed(Some(true)),
        plain(pair.server_end("passive_close").closed_here(Closer::Close)),
    ];
    finish(&pair.client)?;
    read_end(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    read_end(&pair.client)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn late_data(net: &Net, way: Way) -> Result<Vec<End>> {
    let pair = connected(way)?;
    let ends = vec![
        pair.client_end("reset_data_after_close")
            .closed_here(Closer::Close)
            .attributes(&["minisock"]),
        plain(pair.server_end("peer_reset_after_fin"))
            .half_closed(Some(true))
            .left(0, 0, 5),
    ];
    close(pair.client);
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    read_end(&pair.server)?;
    send(&pair.server, b"12345")?;
    wait_error(&pair.server, libc::EPIPE)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

fn reset(_net: &Net, way: Way) -> Result<Vec<End>> {
    let pair = connected(way)?;
    let ends = vec![
        plain(
            pair.client_end("reset_linger_zero")
                .closed_here(Closer::Close),
        ),
        plain(pair.server_end("peer_reset")),
    ];
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn refused(_net: &Net, (listen, connect): Way) -> Result<Vec<End>> {
    let listener = TcpListener::bind((listen, 0))?;
    let to = SocketAddr::new(connect.into(), listener.local_addr()?.port());
    close(listener);
    let client = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    client.bind(&SocketAddr::new(IpAddr::from(connect), 0).into())?;
    let local = client.local_addr()?;
    let local = canonical(local.as_socket().context("no local address")?);
    match client.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {}
        other => bail!("expected ECONNREFUSED, got {other:?}"),
    }
    Ok(vec![plain(End::client(local, to, "connect_refused"))])
}

fn plain(end: End) -> End {
    end.attributes(&[])
}
