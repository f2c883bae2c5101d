//! The agent as a user runs it, and what it says it saw.
//!
//! Takes its path; gives an [`Observer`] that is ready, and ends it when it is dropped.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::clock::cpu_of;
use crate::agent::Agent;
use crate::demo::{get, metrics, sum};
use crate::scenario::clock::{now, wait_for};

/// How long a machine under load may let the agent wait for its first census.
pub(super) const READY_CEILING: Duration = Duration::from_mins(2);
/// How long the last ends of a load may take to be told.
const LAST: Duration = Duration::from_secs(20);
/// Before the first look: each look costs the agent a scrape.
const SETTLES: Duration = Duration::from_millis(500);

/// `tcp-observer run` with its defaults, but for a port of its own.
#[derive(Debug)]
pub(super) struct Observer {
    agent: Agent,
    pub(super) address: SocketAddr,
}

/// What it counted, since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    /// Events that came.
    pub(super) events: u64,
    /// Events that were lost, for whatever cause.
    pub(super) lost: u64,
    /// Connection ends that ended.
    pub(super) ended: u64,
    /// Connection ends that it follows.
    pub(super) tracked: u64,
    /// Those of them that are closing.
    pub(super) closing: u64,
}

impl Observer {
    /// Starts it and waits until it is ready.
    pub(super) fn start(path: &Path, options: &[&str]) -> Result<Self> {
        let address = free_address()?;
        let listen = address.to_string();
        let arguments = [&["run", "--web.listen-address", &listen], options].concat();
        let nowhere = File::options().write(true).open("/dev/null")?;
        let agent = Agent::start_into(path, &arguments, nowhere)?;
        wait_for("the agent to be ready", READY_CEILING, || {
            Ok(is_ready(address).then_some(()))
        })?;
        Ok(Self { agent, address })
    }

    pub(super) fn pid(&self) -> u32 {
        self.agent.pid()
    }

    /// Time on a CPU so far, all threads.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid())
    }

    pub(super) fn counted(&self) -> Result<Counted> {
        let text = metrics(self.address)?;
        Ok(Counted {
            events: sum(&text, "tcp_observer_events_total")?,
            lost: sum(&text, "tcp_observer_events_lost_total")?,
            ended: sum(&text, "tcp_observer_connections_ended_total")?,
            tracked: sum(&text, "tcp_observer_tracked_connections")?,
            closing: sum(&text, "tcp_observer_tracked_connections{stage=\"closing\"}")?,
        })
    }

    /// Waits until so many more ends have ended than before, or too long; gives the CPU time at
    /// that point, no scrape of the last look in it, and what is counted then.
    pub(super) fn caught_up(&self, before: Counted, ends: u64) -> Result<(Duration, Counted)> {
        let start = now();
        loop {
            thread::sleep(SETTLES);
            let cpu = self.cpu()?;
            let counted = self.counted()?;
            if counted.ended - before.ended >= ends || start.elapsed() > LAST {
                return Ok((cpu, counted));
            }
        }
    }

    /// Ends it as an administrator would.
    pub(super) fn stop(self) -> Result<()> {
        let stopped = self.agent.stop()?;
        anyhow::ensure!(
            stopped.status.success(),
            "the agent ended with {}: {}",
            stopped.status,
            stopped.errors.join("; ")
        );
        Ok(())
    }
}

/// Whether an agent answers that it is ready.
pub(super) fn is_ready(address: SocketAddr) -> bool {
    get(address, "/-/ready").is_ok()
}

/// An address that nobody listens on.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}
