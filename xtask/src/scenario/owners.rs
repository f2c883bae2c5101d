//! Closes by the end of a process.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use anyhow::Result;

use super::Scenario;
use super::forking::{comm, spawn};
use super::net::{Net, State};
use super::pair::{Pair, close, read_end};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "killed",
        "a process that holds the client is killed",
        killed,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 0)]),
    Scenario::new(
        "exits_after_end",
        "a process exits when its peer has closed",
        exits_after_end,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 0)]),
];

/// A process that holds the only reference to a socket, and reads it.
pub(crate) struct Owner {
    pub(crate) child: Child,
    comm: String,
}

impl Owner {
    pub(crate) fn of(socket: TcpStream) -> Result<Self> {
        // It waits for one line and exits; unlike cat, a shell never closes its standard input.
        Self::running(Command::new("sh").args(["-c", "read line"]), socket.into())
    }

    /// A process that holds the only reference to a socket as its standard input.
    pub(crate) fn running(command: &mut Command, socket: OwnedFd) -> Result<Self> {
        let child = spawn(command.stdin(Stdio::from(socket)).stdout(Stdio::null()))?;
        Ok(Self {
            comm: comm(&child.id().to_string())?,
            child,
        })
    }

    pub(super) fn end(&self, end: End) -> End {
        end.closed_by(Closer::Exit, self.child.id(), &self.comm)
    }
}

fn killed(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let client_end = pair.client_end("active_close");
    let server_end = pair.server_end("passive_close").closed_here(Closer::Close);
    let mut owner = Owner::of(pair.client)?;
    let client_end = owner.end(client_end);
    owner.child.kill()?;
    owner.child.wait()?;
    read_end(&pair.server)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    Ok(vec![client_end, server_end])
}

fn exits_after_end(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let client_end = pair.client_end("passive_close");
    let server_end = pair.server_end("active_close").closed_here(Closer::Close);
    let mut owner = Owner::of(pair.client)?;
    let client_end = owner.end(client_end);
    close(pair.server);
    owner.child.wait()?;
    net.wait_minisock(pair.server_at, pair.client_at, State::TimeWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(vec![client_end, server_end])
}
