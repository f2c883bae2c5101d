//! close() that waits for the peer: SO_LINGER with a time.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::Signal;
use socket2::SockRef;

use super::Scenario;
use super::clock::{CEILING, last_tick};
use super::forking::no_fork;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read_end};
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN, Segment};
use super::shell::Shell;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "linger_in_time",
        "a blocking close(), and the peer acknowledges in time",
        linger_in_time,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_in_time_passive",
        "a blocking close() after the peer's FIN, acknowledged in time",
        linger_in_time_passive,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_runs_out",
        "a blocking close() gives up, and the peer answers later",
        linger_runs_out,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_runs_out_passive",
        "the same after the peer's FIN",
        linger_runs_out_passive,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_runs_out_after_shutdown",
        "shutdown(WR), and the close() that follows waits in vain",
        linger_runs_out_after_shutdown,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_runs_out_orphan",
        "a blocking close() gives up, and then the kernel",
        linger_runs_out_orphan,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0), ("TCPAbortOnTimeout", 1)]),
    Scenario::new(
        "linger_interrupted",
        "a signal ends a blocking close()",
        linger_interrupted,
    )
    .counters(NO_RESET),
    Scenario::new(
        "linger_at_exit",
        "a process that exits does not wait, whatever SO_LINGER says",
        linger_at_exit,
    )
    .counters(NO_RESET),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];
const CLOSER: &str = "lingerer";
const SHORT: Duration = Duration::from_secs(1);

fn linger_in_time(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = by_thread(client_of(&peer, "active_close")).attributes(&[]);
    close_slowly(client, CEILING, || {
        let fin = peer.see_fin()?;
        acknowledge(&mut peer, &fin)
    })?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    fin_of(net, &mut peer)?;
    Ok(vec![end])
}

fn linger_in_time_passive(net: &Net) -> Result<Vec<End>> {
    let (mut peer, server) = half_closed_peer(net)?;
    let end = by_thread(server_of(&peer, "passive_close")).attributes(&[]);
    close_slowly(server, CEILING, || {
        let fin = peer.see_fin()?;
        acknowledge(&mut peer, &fin)
    })?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn linger_runs_out(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = by_thread(client_of(&peer, "active_close")).attributes(&["linger_expired"]);
    let fin = given_up(&mut peer, client)?;
    acknowledge(&mut peer, &fin)?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    fin_of(net, &mut peer)?;
    Ok(vec![end])
}

fn linger_runs_out_passive(net: &Net) -> Result<Vec<End>> {
    let (mut peer, server) = half_closed_peer(net)?;
    let end = by_thread(server_of(&peer, "passive_close")).attributes(&["linger_expired"]);
    let fin = given_up(&mut peer, server)?;
    acknowledge(&mut peer, &fin)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn linger_runs_out_after_shutdown(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "active_close")
        .closed_here(Closer::Shutdown)
        .half_closed(Some(true))
        .attributes(&["linger_expired"]);
    finish(&client)?;
    let fin = given_up(&mut peer, client)?;
    acknowledge(&mut peer, &fin)?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    fin_of(net, &mut peer)?;
    Ok(vec![end])
}

fn linger_runs_out_orphan(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = by_thread(client_of(&peer, "timeout_orphan")).attributes(&["linger_expired"]);
    given_up(&mut peer, client)?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn linger_interrupted(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    SockRef::from(&client).set_linger(Some(CEILING))?;
    let mut shell = Shell::with_one("read go; exec 2>&-; read more", client)?;
    let end = shell
        .end(Closer::Close, client_of(&peer, "active_close"))
        .attributes(&["linger_expired"]);
    shell.tell()?;
    let fin = peer.see_fin()?;
    shell.signal(Signal::SIGTERM)?;
    shell.wait()?;
    acknowledge(&mut peer, &fin)?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    fin_of(net, &mut peer)?;
    Ok(vec![end])
}

fn linger_at_exit(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    SockRef::from(&pair.client).set_linger(Some(CEILING))?;
    let mut shell = Shell::with_one("read go", pair.client)?;
    let ends = vec![
        shell
            .end(
                Closer::Exit,
                End::client(pair.client_at, pair.server_at, "active_close"),
            )
            .attributes(&[]),
        End::server(pair.server_at, pair.client_at, "passive_close")
            .closed_here(Closer::Close)
            .attributes(&[]),
    ];
    shell.tell()?;
    shell.wait()?;
    read_end(&pair.server)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

/// A peer that has sent its FIN, and the socket that has it.
fn half_closed_peer(net: &Net) -> Result<(Peer, TcpStream)> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    Ok((peer, server))
}

fn acknowledge(peer: &mut Peer, fin: &Segment) -> Result<()> {
    peer.take(fin);
    peer.send(ACK, b"")
}

fn fin_of(net: &Net, peer: &mut Peer) -> Result<()> {
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)
}

/// close() with a short time, while the peer says nothing: the FIN that it did not answer.
fn given_up(peer: &mut Peer, socket: TcpStream) -> Result<Segment> {
    let start = last_tick()?;
    let fin = close_slowly(socket, SHORT, || peer.see_fin())?;
    let waited = last_tick()?.saturating_sub(start);
    if waited < SHORT / 2 {
        let early = format!("close() returned {} ms of ticks later", waited.as_millis());
        return Err(io::Error::new(ErrorKind::TimedOut, early).into());
    }
    Ok(fin)
}

/// Closes in a thread of its own, which may block in it, and does something meanwhile that shows
/// that it was the last reference.
fn close_slowly<T>(
    socket: TcpStream,
    linger: Duration,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<T> {
    SockRef::from(&socket).set_linger(Some(linger))?;
    thread::scope(|scope| {
        // Not for as long as it blocks: nobody else could close anything.
        let no_fork = no_fork();
        let closer = thread::Builder::new()
            .name(CLOSER.to_owned())
            .spawn_scoped(scope, || drop(socket))
            .context("cannot start a thread")?;
        let done = meanwhile();
        drop(no_fork);
        closer
            .join()
            .map_err(|_panic| anyhow!("the closer panicked"))?;
        done
    })
}

fn by_thread(end: End) -> End {
    end.closed_by(Closer::Close, process::id(), CLOSER)
}
