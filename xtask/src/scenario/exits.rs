//! Ends that the end of a process makes, or an exec.

use std::env;
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, read_end, send, wait_error, wait_unread};
use super::shell::Shell;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("terminated", "SIGTERM, not caught", terminated).counters(NO_RESET),
    Scenario::new("aborted", "a process that aborts itself", aborted).counters(NO_RESET),
    Scenario::new(
        "exits_with_two",
        "a process exits that holds two connections",
        exits_with_two,
    )
    .counters(NO_RESET),
    Scenario::new(
        "killed_with_unread_data",
        "SIGKILL, and 5 bytes were not read",
        killed_with_unread_data,
    )
    .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "closed_by_exec",
        "exec closes what it must not hand on",
        closed_by_exec,
    )
    .counters(NO_RESET),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];

fn terminated(net: &Net) -> Result<Vec<End>> {
    let (mut shell, pair) = client_in_shell("read go")?;
    shell.signal(Signal::SIGTERM)?;
    shell.wait()?;
    pair.closed_by(net, &shell, Closer::Exit)
}

fn aborted(net: &Net) -> Result<Vec<End>> {
    let (mut shell, pair) = client_in_shell("ulimit -c 0; read go; kill -ABRT $$; read more")?;
    shell.tell()?;
    shell.wait()?;
    pair.closed_by(net, &shell, Closer::Exit)
}

fn closed_by_exec(net: &Net) -> Result<Vec<End>> {
    let program = env::current_exe()?;
    let name = program.file_name().and_then(OsStr::to_str);
    let name: String = name
        .context("this program has no name")?
        .chars()
        .take(15)
        .collect();
    // For the redirection the shell moves the socket to a file descriptor that exec closes.
    let path = program.display();
    let script = format!("read go; {{ exec '{path}' --help; }} 2>/dev/null");
    let (mut shell, pair) = client_in_shell(&script)?;
    shell.tell()?;
    // What exec closes is let go of on the way back from it, under the new name.
    shell.becomes(&name)?;
    pair.closed_by(net, &shell, Closer::Close)
}

fn exits_with_two(net: &Net) -> Result<Vec<End>> {
    let (first, second) = (Pair::new()?, Pair::new()?);
    let (first_rest, first) = Rest::of(first);
    let (second_rest, second) = Rest::of(second);
    let mut shell = Shell::with_two("read go", first, second)?;
    shell.tell()?;
    shell.wait()?;
    let mut ends = first_rest.closed_by(net, &shell, Closer::Exit)?;
    ends.extend(second_rest.closed_by(net, &shell, Closer::Exit)?);
    Ok(ends)
}

fn killed_with_unread_data(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    let client = pair.client_end("reset_unread_data").left(5, 0, 0);
    let server = pair.server_end("peer_reset").attributes(&[]);
    let mut shell = Shell::with_one("read go", pair.client)?;
    let client = shell.end(Closer::Exit, client).attributes(&[]);
    shell.signal(Signal::SIGKILL)?;
    shell.wait()?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(vec![client, server])
}

/// What this process keeps of a pair whose client another holds.
pub(super) struct Rest {
    server: TcpStream,
    client_at: SocketAddr,
    server_at: SocketAddr,
}

impl Rest {
    /// The rest, and the client.
    pub(super) fn of(pair: Pair) -> (Self, TcpStream) {
        let rest = Self {
            server: pair.server,
            client_at: pair.client_at,
            server_at: pair.server_at,
        };
        (rest, pair.client)
    }

    /// The shell has closed the client: the server closes too.
    pub(super) fn closed_by(self, net: &Net, shell: &Shell, closer: Closer) -> Result<Vec<End>> {
        self.close(net, |client| shell.end(closer, client))
    }

    /// The client was closed: the server closes too.
    pub(super) fn close(self, net: &Net, by: impl FnOnce(End) -> End) -> Result<Vec<End>> {
        let (local, peer) = (self.client_at, self.server_at);
        read_end(&self.server)?;
        net.wait_minisock(local, peer, State::FinWait2)?;
        close(self.server);
        net.wait_minisock(local, peer, State::TimeWait)?;
        net.wait_gone(peer, local)?;
        let client = by(End::client(local, peer, "active_close"));
        let server = End::server(peer, local, "passive_close").closed_here(Closer::Close);
        Ok(vec![client.attributes(&[]), server.attributes(&[])])
    }

    /// The client is held by somebody still.
    pub(super) fn is_open(&self, net: &Net) -> Result<()> {
        net.wait_state(self.client_at, self.server_at, State::Established)
    }
}

/// A shell that holds the only reference to a client.
fn client_in_shell(script: &str) -> Result<(Shell, Rest)> {
    let (rest, client) = Rest::of(Pair::new()?);
    Ok((Shell::with_one(script, client)?, rest))
}
