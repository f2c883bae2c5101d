//! An administrator destroys a connection over `sock_diag`, as `ss -K` does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process;
use std::thread;

use anyhow::{Result, anyhow};
use socket2::SockRef;

use super::Scenario;
use super::net::{Net, State, VOID};
use super::pair::{Pair, finish, send, wait_error, wait_unread};
use super::peer::{Peer, start_connect};
use super::raw::disconnect;
use super::scripted::server_of;
use super::segment::{ACK, FIN};
use super::sock_diag::destroy;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("destroyed", "in ESTABLISHED", destroyed)
        .counters(&[("EstabResets", 2), ("OutRsts", 1)])
        .unless(cannot_destroy),
    Scenario::new("destroyed_ipv6", "in ESTABLISHED, over ::1", destroyed_ipv6)
        .counters(&[("EstabResets", 2), ("OutRsts", 1)])
        .unless(cannot_destroy),
    Scenario::new(
        "destroyed_mapped",
        "in ESTABLISHED, IPv4 through IPv6 sockets",
        destroyed_mapped,
    )
    .counters(&[("EstabResets", 2), ("OutRsts", 1)])
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_with_bytes",
        "in ESTABLISHED, with 5 bytes unread and 4 unacknowledged",
        destroyed_with_bytes,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1)])
    .unless(cannot_destroy),
    Scenario::new("destroyed_syn_sent", "in SYN_SENT", destroyed_syn_sent)
        .counters(&[("AttemptFails", 1), ("OutRsts", 0)])
        .unless(cannot_destroy),
    Scenario::new(
        "destroyed_again",
        "in ESTABLISHED, and the socket, which nobody asked why, in SYN_SENT again",
        destroyed_again,
    )
    .counters(&[("AttemptFails", 1), ("EstabResets", 2), ("OutRsts", 1)])
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_close_wait",
        "in CLOSE_WAIT",
        destroyed_close_wait,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1)])
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_fin_wait2",
        "in FIN_WAIT2, a full socket",
        destroyed_fin_wait2,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1)])
    .unless(cannot_destroy),
    Scenario::new("destroyed_last_ack", "in LAST_ACK", destroyed_last_ack)
        .counters(&[("EstabResets", 0), ("OutRsts", 0)])
        .unless(cannot_destroy),
];

/// Asks for what cannot be there: a kernel that can destroy says that it found nothing.
pub(super) fn cannot_destroy() -> Option<String> {
    let nowhere = |last| (Ipv4Addr::new(127, 255, 255, last), 1).into();
    let error = destroy(nowhere(1), nowhere(2)).err()?;
    let found_nothing = errno(&error) == Some(libc::ENOENT);
    (!found_nothing).then(|| format!("the kernel cannot destroy sockets: {error:#}"))
}

pub(super) fn errno(error: &anyhow::Error) -> Option<i32> {
    error.downcast_ref::<io::Error>()?.raw_os_error()
}

/// A task other than the owner.
const ADMINISTRATOR: &str = "administrator";

/// Destroys it on a thread of that name.
fn as_administrator(local: SocketAddr, peer: SocketAddr) -> Result<()> {
    let named = thread::Builder::new().name(ADMINISTRATOR.to_owned());
    let done = named.spawn(move || destroy(local, peer))?.join();
    done.map_err(|_panic| anyhow!("the administrator panicked"))?
}

fn destroyed(_net: &Net) -> Result<Vec<End>> {
    established(&Pair::new()?)
}

fn destroyed_ipv6(_net: &Net) -> Result<Vec<End>> {
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    established(&Pair::over(loopback, loopback)?)
}

fn destroyed_mapped(_net: &Net) -> Result<Vec<End>> {
    let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    established(&Pair::over(Ipv6Addr::UNSPECIFIED.into(), mapped)?)
}

fn established(pair: &Pair) -> Result<Vec<End>> {
    let ends = vec![
        pair.client_end("peer_reset"),
        pair.server_end("reset_destroyed")
            .closed_by(Closer::Nobody, process::id(), ADMINISTRATOR),
    ];
    as_administrator(pair.server_at, pair.client_at)?;
    // The owner learns of it by its next call.
    wait_error(&pair.server, libc::ECONNABORTED)?;
    wait_error(&pair.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn destroyed_with_bytes(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "reset_destroyed")
        .closed_by(Closer::Nobody, process::id(), ADMINISTRATOR)
        .left(5, 0, 4);
    peer.send(ACK, b"12345")?;
    wait_unread(&server, 5)?;
    send(&server, b"1234")?;
    as_administrator(peer.real, peer.address)?;
    wait_error(&server, libc::ECONNABORTED)?;
    Ok(vec![end])
}

fn destroyed_syn_sent(net: &Net) -> Result<Vec<End>> {
    let to = (VOID, 7000).into();
    let client = start_connect(to)?;
    let local = client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    destroy(local, to)?;
    wait_error(&client, libc::ECONNABORTED)?;
    Ok(vec![End::client(local, to, "dropped_silently")])
}

/// `sk_err` holds ECONNABORTED before the second connect, and after it.
fn destroyed_again(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let first = pair.client_end("reset_destroyed");
    let mut ends = vec![
        first.closed_here(Closer::Nobody),
        pair.server_end("peer_reset"),
    ];
    destroy(pair.client_at, pair.server_at)?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    disconnect(&pair.client)?;
    pair.client.set_nonblocking(true)?;
    let (any_port, to) = ((Ipv4Addr::LOCALHOST, 0).into(), (VOID, 7000).into());
    let socket = SockRef::from(&pair.client);
    socket.bind(&SocketAddr::into(any_port))?;
    let begun = socket.connect(&SocketAddr::into(to)).err();
    let begun = begun.and_then(|error| error.raw_os_error());
    anyhow::ensure!(begun == Some(libc::EINPROGRESS), "connect said {begun:?}");
    let local = pair.client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    destroy(local, to)?;
    wait_error(&pair.client, libc::ECONNABORTED)?;
    ends.push(End::client(local, to, "dropped_silently"));
    Ok(ends)
}

fn destroyed_close_wait(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_destroyed")
            .closed_here(Closer::Nobody)
            .initiator("peer")
            .half_closed(None),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
    ];
    finish(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    destroy(pair.client_at, pair.server_at)?;
    wait_error(&pair.client, libc::ECONNABORTED)?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn destroyed_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_destroyed")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    destroy(pair.client_at, pair.server_at)?;
    wait_error(&pair.client, libc::ECONNABORTED)?;
    wait_error(&pair.server, libc::EPIPE)?;
    Ok(ends)
}

/// In this state the kernel sends no reset.
fn destroyed_last_ack(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "dropped_silently")
        .closed_here(Closer::Shutdown)
        .initiator("peer")
        .half_closed(None);
    peer.send(FIN | ACK, b"")?;
    let (local, far) = (peer.real, peer.address);
    net.wait_state(local, far, State::CloseWait)?;
    finish(&server)?;
    net.wait_state(local, far, State::LastAck)?;
    destroy(local, far)?;
    wait_error(&server, libc::ECONNABORTED)?;
    Ok(vec![end])
}
