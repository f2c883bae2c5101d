//! Multipath TCP: what becomes of the TCP connections that it is made of.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::net::{Net, State};
use super::pair::{Pair, close, linger_zero, read, read_end, send, wait_error, wait_unread};
use super::truth::{Closer, End};

const IPPROTO_MPTCP: i32 = 262;

/// The server's SYN-ACK said that it speaks MPTCP.
const SPOKEN: &[(&str, i64)] = &[("MPCapableSYNACKRX", 1)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "mptcp_close",
        "the client closes, then the server",
        mptcp_close,
    )
    .counters(SPOKEN)
    .unless(no_mptcp),
    Scenario::new(
        "mptcp_linger_zero",
        "close() with SO_LINGER 0",
        mptcp_linger_zero,
    )
    .counters(SPOKEN)
    .unless(no_mptcp),
    Scenario::new("mptcp_unread", "close() with 5 bytes unread", mptcp_unread)
        .counters(SPOKEN)
        .unless(no_mptcp),
    Scenario::new(
        "mptcp_fallback",
        "an MPTCP client, a TCP server",
        mptcp_fallback,
    )
    .unless(no_mptcp),
    Scenario::new(
        "mptcp_fallback_linger_zero",
        "the same, close() with SO_LINGER 0",
        mptcp_fallback_linger_zero,
    )
    .unless(no_mptcp),
    Scenario::new(
        "mptcp_peer_resets",
        "an MPTCP client, a TCP server that resets",
        mptcp_peer_resets,
    )
    .unless(no_mptcp),
];

/// Why there can be no such socket here, if there cannot.
pub(super) fn no_mptcp() -> Option<String> {
    let error = socket().err()?;
    Some(format!("the kernel has no MPTCP: {error}"))
}

fn socket() -> io::Result<Socket> {
    Socket::new(
        Domain::IPV4,
        Type::STREAM,
        Some(Protocol::from(IPPROTO_MPTCP)),
    )
}

fn pair() -> Result<Pair> {
    to(&listener(Ipv4Addr::LOCALHOST)?)
}

/// One that speaks Multipath TCP.
pub(super) fn listener(address: Ipv4Addr) -> Result<TcpListener> {
    let listener = socket()?;
    listener.bind(&SocketAddr::from((address, 0)).into())?;
    listener.listen(8)?;
    Ok(listener.into())
}

/// A client that speaks it, connected to any listener.
pub(super) fn to(listener: &TcpListener) -> Result<Pair> {
    let server_at = listener.local_addr()?;
    let client = socket()?;
    client.connect(&server_at.into())?;
    let client = TcpStream::from(client);
    let (server, _) = listener.accept()?;
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(CEILING))?;
    }
    // A word each way, so that both know that the other speaks MPTCP.
    send(&client, b"request")?;
    read(&server, b"request")?;
    send(&server, b"answer")?;
    read(&client, b"answer")?;
    Ok(Pair {
        client_at: client.local_addr()?,
        server_at,
        client,
        server,
    })
}

fn fallback() -> Result<Pair> {
    to(&TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
}

/// Nothing tells who let go of a subflow: Multipath TCP closes it, here or in a worker.
fn subflow(end: End) -> End {
    end.half_closed(None)
}

/// Both ends close; the kernel's worker then closes the subflow at each end.
fn mptcp_close(net: &Net) -> Result<Vec<End>> {
    let pair = pair()?;
    let (client_at, server_at) = (pair.client_at, pair.server_at);
    close(pair.client);
    read_end(&pair.server)?;
    close(pair.server);
    orderly(net, client_at, server_at)
}

/// Which of the two workers is first, only the kernel knows.
fn orderly(net: &Net, client_at: SocketAddr, server_at: SocketAddr) -> Result<Vec<End>> {
    wait_for("the end of the subflow", CEILING, || {
        Ok((net.unfinished()? == 0).then_some(()))
    })?;
    let held = |local, peer| net.holds(local, peer, State::TimeWait);
    let (client, server) = match (held(client_at, server_at)?, held(server_at, client_at)?) {
        (true, false) => ("active_close", "passive_close"),
        (false, true) => ("passive_close", "active_close"),
        (true, true) => ("simultaneous_close", "simultaneous_close"),
        (false, false) => return Err(late("neither end is in TIME_WAIT".to_owned())),
    };
    Ok(vec![
        subflow(End::client(client_at, server_at, client)),
        subflow(End::server(server_at, client_at, server)),
    ])
}

/// Whether SO_LINGER 0 makes Multipath TCP reset: 6.18.15 may close in order all the same, and
/// shows a reset to the peer as the end of the stream.
fn is_reset(net: &Net, server: &TcpStream) -> Result<bool> {
    let mut server = server;
    match server.read(&mut [0]) {
        Ok(0) => Ok(net
            .counters()?
            .get("OutRsts")
            .is_some_and(|resets| *resets > 0)),
        Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => Ok(true),
        other => bail!("expected a reset or the end of the stream, got {other:?}"),
    }
}

fn mptcp_linger_zero(net: &Net) -> Result<Vec<End>> {
    let pair = pair()?;
    let (client_at, server_at) = (pair.client_at, pair.server_at);
    let ends = vec![
        pair.client_end("reset_other"),
        pair.server_end("peer_reset"),
    ];
    let fin_first = vec![
        subflow(pair.client_end("reset_other")),
        subflow(pair.server_end("peer_reset_after_fin")),
    ];
    linger_zero(&pair.client)?;
    close(pair.client);
    if is_reset(net, &pair.server)? {
        return Ok(ends);
    }
    close(pair.server);
    // The subflow has SO_LINGER 0 too, so it is reset when the worker closes it at last, with
    // or without a FIN before.
    wait_for("the end of the subflow", CEILING, || {
        Ok((net.unfinished()? == 0).then_some(()))
    })?;
    let counters = net.counters()?;
    let count = |name| counters.get(name).copied().unwrap_or_default();
    match (count("OutRsts"), count("EstabResets")) {
        (1, 2) => counted_on_data(net).map(|()| ends),
        (1, 1) => counted_on_data(net).map(|()| fin_first),
        // The worker was slow, and both subflows had sent their FIN by then.
        (0, 0) => orderly(net, client_at, server_at),
        other => Err(late(format!("expected a reset, got {other:?}"))),
    }
}

/// The kernel counts it after the reset that it is about (`__tcp_close`), here in a worker that may
/// be displaced in between.
fn counted_on_data(net: &Net) -> Result<()> {
    wait_for("TCPAbortOnData", CEILING, || {
        let counted = net.counters()?.get("TCPAbortOnData").copied();
        Ok((counted == Some(1)).then_some(()))
    })
}

/// What else the order of the kernel's two workers makes now and then counts as a step that took too
/// long.
fn late(what: String) -> anyhow::Error {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}

fn mptcp_unread(_net: &Net) -> Result<Vec<End>> {
    let pair = pair()?;
    let ends = vec![
        pair.client_end("reset_other"),
        pair.server_end("peer_reset"),
    ];
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn mptcp_fallback(net: &Net) -> Result<Vec<End>> {
    let pair = fallback()?;
    let ends = in_order(&pair);
    close(pair.client);
    read_end(&pair.server)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn in_order(pair: &Pair) -> Vec<End> {
    vec![
        pair.client_end("active_close").closed_here(Closer::Close),
        pair.server_end("passive_close").closed_here(Closer::Close),
    ]
}

fn mptcp_fallback_linger_zero(net: &Net) -> Result<Vec<End>> {
    let pair = fallback()?;
    let orderly = in_order(&pair);
    let ends = vec![
        pair.client_end("reset_other"),
        pair.server_end("peer_reset"),
    ];
    linger_zero(&pair.client)?;
    close(pair.client);
    if is_reset(net, &pair.server)? {
        return Ok(ends);
    }
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(orderly)
}

fn mptcp_peer_resets(_net: &Net) -> Result<Vec<End>> {
    let pair = fallback()?;
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
