//! TIME_WAIT whose ends a new connection takes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, linger_zero, read_end, wait_error};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "time_wait_reused_by_connect",
        "a connect takes over the ends of a TIME_WAIT",
        reused_by_connect,
    )
    .counters(&[("ActiveOpens", 2), ("PassiveOpens", 2), ("TWRecycled", 1)]),
    Scenario::new(
        "time_wait_reused_by_syn",
        "a SYN takes over the ends of a TIME_WAIT",
        reused_by_syn,
    )
    .counters(&[("ActiveOpens", 2), ("PassiveOpens", 2), ("EstabResets", 2)]),
];

/// How old a TIME_WAIT must be to be used again: more than a second, counted in whole ones.
const OLD_ENOUGH: Duration = Duration::from_millis(2_100);

fn reused_by_connect(net: &Net) -> Result<Vec<End>> {
    net.set("ip_local_port_range", "40000 40000")?;
    net.set("tcp_tw_reuse", "1")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 50_000))?;
    let to = listener.local_addr()?;
    let first = Pair::through(&listener, to)?;
    let mut ends = vec![
        closed(first.client_end("active_close")),
        closed(first.server_end("passive_close")),
    ];
    let ends_of_first = (first.client_at, first.server_at);
    close(first.client);
    read_end(&first.server)?;
    // An ACK that comes after the server's FIN is answered, and that answer with a reset.
    net.wait_fin_wait2(ends_of_first.0, ends_of_first.1)?;
    close(first.server);
    net.wait_minisock(ends_of_first.0, ends_of_first.1, State::TimeWait)?;
    thread::sleep(OLD_ENOUGH);
    let second = Pair::through(&listener, to)?;
    ensure!((second.client_at, second.server_at) == ends_of_first);
    ends.extend(server_resets(second)?);
    Ok(ends)
}

fn reused_by_syn(net: &Net) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    let first = connect_from(&listener, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let (client_at, server_at) = (first.client_at, first.server_at);
    let mut ends = vec![
        closed(first.client_end("passive_close")),
        closed(first.server_end("active_close")),
    ];
    close(first.server);
    read_end(&first.client)?;
    close(first.client);
    net.wait_minisock(server_at, client_at, State::TimeWait)?;
    let second = connect_from(&listener, client_at)?;
    ensure!((second.client_at, second.server_at) == (client_at, to));
    ends.extend(server_resets(second)?);
    Ok(ends)
}

/// Another ending than that of the first connection with these ends, so that a record of one
/// cannot pass for one of the other.
fn server_resets(pair: Pair) -> Result<Vec<End>> {
    let ends = vec![
        pair.client_end("peer_reset").attributes(&[]),
        closed(pair.server_end("reset_linger_zero")),
    ];
    linger_zero(&pair.server)?;
    close(pair.server);
    wait_error(&pair.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn connect_from(listener: &TcpListener, from: SocketAddr) -> Result<Pair> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&from.into())?;
    let to = listener.local_addr()?;
    socket.connect(&to.into()).context("cannot connect")?;
    let client = TcpStream::from(socket);
    let (server, client_at) = listener.accept()?;
    Ok(Pair {
        client,
        server,
        client_at,
        server_at: to,
    })
}

fn closed(end: End) -> End {
    end.closed_here(Closer::Close).attributes(&[])
}
