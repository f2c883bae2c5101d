//! Everything that a host can do to its connections, at once and for as long as is wanted.
//!
//! Takes a folder; runs each part in a thread and a network namespace of its own until it is
//! stopped, and in bounded rounds. Never touches the host's own namespace.

mod endings;
mod leak;
mod ports;
mod stalls;
mod time_wait;
mod traffic;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::scenario::clock::now;
use crate::scenario::net::Net;
use crate::served::program::Program;

pub(super) use endings::{Made, perform};
pub(super) use traffic::Shop;

/// One part, by what it is called.
type Part = (&'static str, fn(&Net, &Until) -> Result<()>);

const PARTS: [Part; 10] = [
    ("traffic", traffic::run),
    ("leak", leak::run),
    ("ports", ports::run),
    ("time wait", time_wait::run),
    ("half closed", stalls::half_closed),
    ("window shut", stalls::window_shut),
    ("race", stalls::race),
    ("storm", stalls::storm),
    ("listener", stalls::listener_closed),
    ("endings", endings::again),
];

/// What runs.
#[derive(Debug)]
pub(super) struct Workload {
    until: Until,
    parts: Vec<(&'static str, JoinHandle<Result<()>>)>,
}

/// Until when a part runs.
#[derive(Clone, Debug)]
struct Until {
    stop: Arc<AtomicBool>,
    /// For what a part wants to keep in a file.
    folder: PathBuf,
    /// Where there is traffic that nobody complains of.
    shop: Arc<Shop>,
}

impl Workload {
    /// Starts all parts.
    pub(super) fn start(folder: &Path, shop: Shop) -> Result<Self> {
        let until = Until {
            stop: Arc::default(),
            folder: folder.to_owned(),
            shop: Arc::new(shop),
        };
        let mut workload = Self {
            until: until.clone(),
            parts: Vec::new(),
        };
        for (name, run) in PARTS {
            let until = until.clone();
            let thread = thread::Builder::new().name(name.to_owned());
            let running = thread.spawn(move || apart(&until, run))?;
            workload.parts.push((name, running));
        }
        Ok(workload)
    }

    /// Fails if a part has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        let ended = self.parts.iter().position(|(_, it)| it.is_finished());
        match ended.map(|index| self.parts.swap_remove(index)) {
            None => Ok(()),
            Some((name, part)) => {
                joined(name, part)?;
                bail!("the workload's part {name} has ended by itself")
            }
        }
    }

    /// Ends all parts.
    pub(super) fn stop(mut self) -> Result<()> {
        self.until.stop.store(true, Ordering::Relaxed);
        let mut parts = self.parts.drain(..);
        parts.try_for_each(|(name, part)| joined(name, part))
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.until.stop.store(true, Ordering::Relaxed);
        for (_, part) in self.parts.drain(..) {
            drop(part.join());
        }
    }
}

fn joined(name: &str, part: JoinHandle<Result<()>>) -> Result<()> {
    let panicked = |_| Err(anyhow!("it panicked"));
    let done = part.join().unwrap_or_else(panicked);
    done.with_context(|| format!("the workload's part {name}"))
}

/// A census finds a namespace by its processes.
fn apart(until: &Until, run: fn(&Net, &Until) -> Result<()>) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Program::resident()?;
    run(&net, until)
}

impl Until {
    /// Whether to go on, after a pause.
    fn goes_on(&self, pause: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(50);
        let start = now();
        while !self.stop.load(Ordering::Relaxed) {
            let left = pause.saturating_sub(start.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(STEP));
        }
        false
    }
}
