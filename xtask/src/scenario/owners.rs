//! Closes by the end of a process.

use std::fs;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;

use anyhow::{Context as _, Result};

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::net::{Net, State};
use super::pair::{FORKING, Pair, close, read_end};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "killed",
        about: "a process that holds the client is killed",
        run: killed,
        counters: &[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 0)],
    },
    Scenario {
        name: "exits_after_end",
        about: "a process exits when its peer has closed",
        run: exits_after_end,
        counters: &[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 0)],
    },
];

/// A process that holds the only reference to a socket, and reads it.
struct Owner {
    child: Child,
    comm: String,
}

impl Owner {
    fn of(socket: TcpStream) -> Result<Self> {
        let _forking = FORKING.write().unwrap_or_else(PoisonError::into_inner);
        // It waits for one line and exits; unlike cat, a shell never closes its standard input.
        let child = Command::new("sh")
            .args(["-c", "read line"])
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        // The kernel closes what exec must close before it gives the process its new name.
        let path = format!("/proc/{}/comm", child.id());
        let own = fs::read_to_string("/proc/thread-self/comm")?;
        let comm = wait_for("exec", CEILING, || {
            let comm = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            Ok((comm != own).then_some(comm))
        })?;
        Ok(Self {
            child,
            comm: comm.trim_end().to_owned(),
        })
    }

    fn end(&self, end: End) -> End {
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
