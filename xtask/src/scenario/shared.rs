//! Sockets with more than one holder: the last one closes, whoever made it.

use std::io::IoSlice;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::process;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::Scenario;
use super::exits::Rest;
use super::net::Net;
use super::pair::{Pair, close};
use super::shell::Shell;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("dup", "of two file descriptors both are closed", dup).counters(NO_RESET),
    Scenario::new(
        "closed_by_a_thread",
        "a thread with a name of its own closes",
        closed_by_a_thread,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shared_with_a_child",
        "the process that connected closes first, its child last",
        shared_with_a_child,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shared_by_fork",
        "a process is killed, and what it forked closes later",
        shared_by_fork,
    )
    .counters(NO_RESET),
    Scenario::new(
        "passed_and_closed",
        "passed over a Unix socket to a process that closes it",
        passed_and_closed,
    )
    .counters(NO_RESET),
    Scenario::new(
        "passed_and_exited",
        "on its way in a Unix socket whose reader exits",
        passed_and_exited,
    )
    .counters(NO_RESET),
    Scenario::new(
        "in_flight",
        "on its way in a Unix socket that this process closes",
        in_flight,
    )
    .counters(NO_RESET),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

fn dup(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let other = client.try_clone()?;
    close(client);
    rest.is_open(net)?;
    close(other);
    rest.close(net, |end| end.closed_here(Closer::Close))
}

fn closed_by_a_thread(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let name = "another_name";
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(|| close(client))?
        .join()
        .map_err(|_panic| anyhow!("the closer panicked"))?;
    rest.close(net, |end| end.closed_by(Closer::Close, process::id(), name))
}

fn shared_with_a_child(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let own = client.try_clone()?;
    let mut shell = Shell::with_one("read go; exec 2>&-; read more", client)?;
    close(own);
    rest.is_open(net)?;
    shell.tell()?;
    rest.closed_by(net, &shell, Closer::Close)
}

fn shared_by_fork(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    // What runs in the background is a fork without exec; it holds the socket too.
    let script = "exec 3<&0; (read go <&3) & echo $!; wait";
    let mut shell = Shell::with_one(script, client)?;
    let forked: u32 = shell.printed()?.parse().context("sh printed no pid")?;
    shell.signal(Signal::SIGKILL)?;
    shell.wait_first()?;
    rest.is_open(net)?;
    shell.tell()?;
    rest.close(net, |end| shell.child_end(Closer::Exit, end, forked))
}

fn passed_and_closed(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let (mine, theirs) = UnixStream::pair()?;
    // Whoever reads without room for file descriptors gets them and closes them at once.
    let mut shell = Shell::with_one("read go; read line <&2; read more", theirs)?;
    pass(&mine, client)?;
    rest.is_open(net)?;
    shell.tell()?;
    rest.closed_by(net, &shell, Closer::Close)
}

fn passed_and_exited(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let (mine, theirs) = UnixStream::pair()?;
    let mut shell = Shell::with_one("read go", theirs)?;
    pass(&mine, client)?;
    rest.is_open(net)?;
    shell.tell()?;
    shell.wait()?;
    rest.closed_by(net, &shell, Closer::Exit)
}

fn in_flight(net: &Net) -> Result<Vec<End>> {
    let (rest, client) = Rest::of(Pair::new()?);
    let (mine, theirs) = UnixStream::pair()?;
    pass(&mine, client)?;
    close(mine);
    rest.is_open(net)?;
    close(theirs);
    rest.close(net, |end| end.closed_here(Closer::Close))
}

/// Sends a socket over another, with a line, and closes it here.
fn pass(over: &UnixStream, socket: TcpStream) -> Result<()> {
    let fds = [socket.as_raw_fd()];
    let line = [IoSlice::new(b"x\n")];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(over.as_raw_fd(), &line, &rights, MsgFlags::empty(), None)
        .context("cannot pass a socket")?;
    close(socket);
    Ok(())
}
