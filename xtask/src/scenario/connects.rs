//! Connects that come to nothing.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::closes::client_first;
use super::net::{Net, State, VOID};
use super::pair::{Pair, close};
use super::peer::start_connect;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("refused", "nobody listens", refused)
        .counters(&[("ActiveOpens", 1), ("AttemptFails", 1), ("OutRsts", 1)])
        .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "no_free_port",
        "no local port is left for the connect",
        no_free_port,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 1)]),
    Scenario::new(
        "self_connect",
        "a socket connects to itself: both ends in one, opened and closed at once",
        self_connect,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 0), ("OutRsts", 0)]),
    Scenario::new(
        "connect_given_up",
        "close() before the peer answers",
        connect_given_up,
    )
    .counters(&[("ActiveOpens", 1), ("OutRsts", 0)]),
    Scenario::new(
        "connect_shut_down",
        "shutdown() before the peer answers",
        connect_shut_down,
    )
    .counters(&[("ActiveOpens", 1), ("OutRsts", 0)]),
];

fn refused(_net: &Net) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    close(listener);
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let local = client
        .local_addr()?
        .as_socket()
        .context("no local address")?;
    match client.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {}
        other => bail!("expected ECONNREFUSED, got {other:?}"),
    }
    Ok(vec![End::client(local, to, "connect_refused")])
}

fn no_free_port(net: &Net) -> Result<Vec<End>> {
    net.set("ip_local_port_range", "40000 40000")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 50_000))?;
    let to = listener.local_addr()?;
    let pair = Pair::through(&listener, to)?;
    match TcpStream::connect(to) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
        other => bail!("expected EADDRNOTAVAIL, got {other:?}"),
    }
    let failed = End {
        local: None,
        peer: None,
        ..End::client(to, to, "connect_failed")
    };
    let mut ends = client_first(net, pair)?;
    ends.push(failed);
    Ok(ends)
}

/// RFC 9293, 3.5: its own SYN answers its SYN, as in any simultaneous open.
fn self_connect(net: &Net) -> Result<Vec<End>> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let own = client.local_addr()?.as_socket();
    let own = own.context("no local address")?;
    client.connect(&own.into())?;
    let end = End::client(own, own, "simultaneous_close").closed_here(Closer::Close);
    close(client);
    net.wait_minisock(own, own, State::TimeWait)?;
    Ok(vec![end])
}

fn connect_given_up(net: &Net) -> Result<Vec<End>> {
    let (client, end) = unanswered(net)?;
    let end = end.closed_here(Closer::Close);
    close(client);
    Ok(vec![end])
}

fn connect_shut_down(net: &Net) -> Result<Vec<End>> {
    // In SYN_SENT the kernel makes one call of tcp_disconnect of shutdown() and of
    // connect(AF_UNSPEC), so the truth that can be known leaves the closer out.
    let (client, end) = unanswered(net)?;
    client.shutdown(Shutdown::Write)?;
    Ok(vec![end])
}

fn unanswered(net: &Net) -> Result<(TcpStream, End)> {
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let local = client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    Ok((client, End::client(local, to, "never_established")))
}
