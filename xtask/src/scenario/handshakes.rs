//! Handshakes that go wrong: connects that fail here, and answers that do not fit.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::{Result, bail};
use socket2::{Domain, Socket, Type};

use super::closes::client_first;
use super::net::{Net, State, VOID};
use super::netlink::{Refusal, forget_route, route_to_nowhere};
use super::pair::{Pair, close, deafen, wait_error};
use super::peer::{Peer, Tap, start_connect};
use super::segment::{ACK, FIN, RST, SYN, Segment};
use super::truth::{Closer, End};
use super::{Beside, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "connect_unanswered_v6",
        "no SYN is answered on ::1",
        |net| unanswered(net, Ipv6Addr::LOCALHOST.into()),
    )
    .counters(&[("AttemptFails", 1), ("TCPAbortOnTimeout", 1)]),
    Scenario::new(
        "connect_unanswered_mapped",
        "the same for IPv4 in IPv6",
        |net| unanswered(net, Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()),
    )
    .counters(&[("AttemptFails", 1), ("TCPAbortOnTimeout", 1)]),
    Scenario::new(
        "no_route",
        "no route, or one that refuses, and no change of state: nothing to tell",
        no_route,
    )
    .counters(&[("ActiveOpens", 0), ("AttemptFails", 0)]),
    Scenario::new(
        "same_ends_in_use",
        "both ends of the connect are another connection's",
        same_ends_in_use,
    )
    .counters(&[("ActiveOpens", 1), ("AttemptFails", 0)]),
    Scenario::new(
        "bad_ack_in_syn_sent",
        "a SYN-ACK that does not fit is answered with a reset; the next one connects",
        bad_ack_in_syn_sent,
    )
    .counters(&[("ActiveOpens", 1), ("AttemptFails", 0), ("OutRsts", 1)]),
    Scenario::new(
        "stillborn_child",
        "the last ACK of a handshake comes when no route leads back: the child dies unseen",
        stillborn_child,
    )
    .counters(&[("PassiveOpens", 1), ("AttemptFails", 1), ("OutRsts", 0)])
    .beside(&[Beside {
        counter: "AttemptFails",
        count: 1,
        reason: "a child that nobody ever saw",
    }]),
    Scenario::new(
        "request_unanswered",
        "a peer vanishes before the handshake is over: no connection",
        request_unanswered,
    )
    .counters(&[("PassiveOpens", 0), ("AttemptFails", 0), ("OutRsts", 0)]),
];

fn unanswered(net: &Net, ip: std::net::IpAddr) -> Result<Vec<End>> {
    net.set("tcp_syn_retries", "1")?;
    net.set_if_there("tcp_syn_linear_timeouts", "0")?;
    let listener = TcpListener::bind((ip, 0))?;
    deafen(&listener)?;
    let to = listener.local_addr()?;
    let client = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    client.set_nonblocking(true)?;
    match client.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => bail!("expected to wait, got {other:?}"),
    }
    let client = client.into();
    let end = local_end(&client, to, "timeout_connect")?;
    wait_error(&client, libc::ETIMEDOUT)?;
    Ok(vec![end])
}

fn local_end(client: &std::net::TcpStream, to: SocketAddr, ending: &'static str) -> Result<End> {
    Ok(End::client(client.local_addr()?, to, ending))
}

fn no_route(_net: &Net) -> Result<Vec<End>> {
    let unreachable = Ipv4Addr::new(192, 0, 2, 2);
    let prohibited = Ipv4Addr::new(192, 0, 2, 3);
    route_to_nowhere(unreachable, Refusal::Unreachable)?;
    route_to_nowhere(prohibited, Refusal::Prohibit)?;
    for (ip, errno) in [
        (Ipv4Addr::new(192, 0, 2, 1), libc::ENETUNREACH),
        (unreachable, libc::EHOSTUNREACH),
        (prohibited, libc::EACCES),
    ] {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match client.connect(&SocketAddr::from((ip, 7000)).into()) {
            Err(error) if error.raw_os_error() == Some(errno) => {}
            other => bail!("expected errno {errno}, got {other:?}"),
        }
    }
    Ok(Vec::new())
}

fn same_ends_in_use(net: &Net) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let first = reusable(any)?;
    let local = first.local_addr()?.as_socket().unwrap_or(any);
    let second = reusable(local)?;
    first.connect(&to.into())?;
    match second.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
        other => bail!("expected EADDRNOTAVAIL, got {other:?}"),
    }
    let failed = End {
        local: None,
        peer: None,
        ..End::client(local, to, "connect_failed")
    };
    let (server, client_at) = listener.accept()?;
    let pair = Pair {
        client: first.into(),
        server,
        client_at,
        server_at: to,
    };
    let mut ends = client_first(net, pair)?;
    ends.push(failed);
    Ok(ends)
}

fn reusable(local: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    Ok(socket)
}

fn bad_ack_in_syn_sent(net: &Net) -> Result<Vec<End>> {
    let mut tap = Tap::open(VOID.into())?;
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let end = local_end(&client, to, "active_close")?.closed_here(Closer::Close);
    let local = client.local_addr()?;
    let (syn, answer) = answer_badly(&mut tap)?;
    next_with(&mut tap, RST)?;
    net.wait_state(local, to, State::SynSent)?;
    let ack = syn.seq.wrapping_add(1);
    tap.send(&Segment {
        ack,
        ..answer.clone()
    })?;
    net.wait_state(local, to, State::Established)?;
    close(client);
    let fin = next_with(&mut tap, FIN)?;
    tap.send(&Segment {
        seq: 9001,
        ack: fin.seq.wrapping_add(1),
        flags: FIN | ACK,
        ..answer
    })?;
    net.wait_minisock(local, to, State::TimeWait)?;
    Ok(vec![end])
}

/// Answers the SYN that is sent next with a SYN-ACK that does not fit. Gives both.
pub(super) fn answer_badly(tap: &mut Tap) -> Result<(Segment, Segment)> {
    let syn = tap.next_to(VOID.into())?;
    let answer = Segment {
        from: syn.to,
        to: syn.from,
        seq: 9000,
        ack: syn.seq.wrapping_add(100),
        flags: SYN | ACK,
        window: 60_000,
        options: Vec::new(),
        data: Vec::new(),
    };
    tap.send(&answer)?;
    Ok((syn, answer))
}

pub(super) fn next_with(tap: &mut Tap, bit: u8) -> Result<Segment> {
    loop {
        let segment = tap.next_to(VOID.into())?;
        if segment.flags & bit != 0 {
            return Ok(segment);
        }
    }
}

fn stillborn_child(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.half_open(&listener)?;
    forget_route(VOID)?;
    peer.send(ACK, b"")?;
    net.check_counters(&[("AttemptFails", 1)])?;
    Ok(Vec::new())
}

fn request_unanswered(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_synack_retries", "1")?;
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.half_open(&listener)?;
    net.wait_state(peer.real, peer.address, State::SynRecv)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(Vec::new())
}
