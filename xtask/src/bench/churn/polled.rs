//! `ss` once a second in the load's network namespace: what people do without an agent.
//!
//! Takes the namespace; polls until it is told to stop. Never counts what it cannot: a snapshot
//! shows no end of a connection.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};

use crate::bench::clock::cpu_of_children;

const EVERY: Duration = Duration::from_secs(1);

/// The poll.
#[derive(Debug)]
pub(super) struct Polled {
    stop: Sender<()>,
    thread: JoinHandle<Result<()>>,
    before: Duration,
}

impl Polled {
    /// Starts it, with the first look at once.
    pub(super) fn start(ss: &Path, netns: &str) -> Result<Self> {
        let namespace = File::open(netns).with_context(|| format!("cannot open {netns}"))?;
        let before = cpu_of_children()?;
        let (stop, stopped) = mpsc::channel();
        let ss = ss.to_owned();
        let thread = thread::Builder::new()
            .name("ss".to_owned())
            .spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                loop {
                    let mut command = Command::new(&ss);
                    let quiet = command.arg("-tan").stdin(Stdio::null());
                    let status = quiet.stdout(Stdio::null()).status()?;
                    ensure!(status.success(), "ss ended with {status}");
                    if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                        return Ok(());
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread,
            before,
        })
    }

    /// Stops it; gives the CPU time of all its looks. No other child may have ended meanwhile.
    pub(super) fn stop(self) -> Result<Duration> {
        drop(self.stop);
        let panicked = |_| Err(anyhow!("the poll panicked"));
        self.thread.join().unwrap_or_else(panicked)?;
        Ok(cpu_of_children()?.saturating_sub(self.before))
    }
}
