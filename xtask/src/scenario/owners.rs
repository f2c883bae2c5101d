//! Closes by the end of a process.

use std::fs;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, read_end};
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
        let child = Command::new("cat")
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start cat")?;
        let path = format!("/proc/{}/comm", child.id());
        // spawn returns after exec, so this is the name that the kernel sees at exit.
        let comm = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
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
    drop(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    Ok(vec![client_end, server_end])
}

fn exits_after_end(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let client_end = pair.client_end("passive_close");
    let server_end = pair.server_end("active_close").closed_here(Closer::Close);
    let mut owner = Owner::of(pair.client)?;
    let client_end = owner.end(client_end);
    drop(pair.server);
    owner.child.wait()?;
    net.wait_minisock(pair.server_at, pair.client_at, State::TimeWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(vec![client_end, server_end])
}
