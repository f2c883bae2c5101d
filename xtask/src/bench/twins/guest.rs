//! What measures inside the guest: the hidden command `bench-guest`.
//!
//! Takes a number of connections; says a line for each backend on standard output. Expects the
//! agent and bpftool where the host has packed them, and nothing else on the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use observer_ebpf::wire::manifest::{Hook, PROGRAMS, Twin};

use super::found::{Cost, Found, Program, Runs};
use crate::bench::agent::Observer;
use crate::bench::floor::{self, Floor};
use crate::bench::load::Churn;
use crate::bench::probes::Statistics;
use crate::bench::stats::{number, ratio};
use crate::bench::{bpftool, say};
use crate::load::raise_file_limit;

/// Where the agent is in the guest, without the leading `/`.
pub const AGENT: &str = "usr/bin/tcp-observer";
/// Where bpftool is.
const BPFTOOL: &str = "/usr/sbin/bpftool";
/// Connections of one run: seconds of an emulated processor.
pub(super) const CONNECTIONS: u64 = 8_000;
/// Slices of a run that is held against others.
const SLICES: u64 = 16;
/// Of the guest's time, for one run.
const SECONDS: u64 = 60;
/// After it the kernel has ended every TIME_WAIT (`TCP_TIMEWAIT_LEN`), in batches.
const TIME_WAIT: Duration = Duration::from_secs(65);
/// The kernel takes the last namespace apart.
const REST: Duration = Duration::from_secs(1);

/// What it measures with.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Connections of one run
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: u64,
}

/// Measures each backend.
pub fn run(args: &Args) -> Result<()> {
    raise_file_limit()?;
    for twin in [Twin::Fentry, Twin::Kprobe, Twin::Tracepoint] {
        let found = backend(twin, args.connections);
        let found = found.with_context(|| format!("backend {}", twin.label()))?;
        say(&found.line()?)?;
    }
    Ok(())
}

fn backend(twin: Twin, connections: u64) -> Result<Found> {
    let (made, programs) = programs(twin, connections)?;
    let names: Vec<&str> = programs.iter().map(|it| it.name.as_str()).collect();
    Ok(Found {
        backend: twin.label().to_owned(),
        connections: made,
        cost: cost(twin, &floor::hooks(&names)?, connections)?,
        programs,
    })
}

fn start(twin: Twin) -> Result<Observer> {
    let agent = Path::new("/").join(AGENT);
    Observer::start(&agent, &["--backend", twin.label()])
}

/// How long the agent's programs run, with an empty one beside each; and for how many connections.
fn programs(twin: Twin, connections: u64) -> Result<(u64, Vec<Program>)> {
    let statistics = Statistics::on()?;
    let agent = start(twin)?;
    let runs = || -> Result<BTreeMap<String, Runs>> {
        let attached = bpftool::attached_by(Path::new(BPFTOOL), agent.pid())?;
        let of = |it: bpftool::Program| {
            let (count, ns) = (it.run_cnt, it.run_time_ns);
            (it.name, Runs { count, ns })
        };
        Ok(attached.into_iter().map(of).collect())
    };
    let before = runs()?;
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    let floor = Floor::attach(&floor::hooks(&names)?)?;
    let mut load = Churn::new(1, SECONDS)?;
    let (before, empty_before) = (runs()?, floor.runs()?);
    let made = load.go(connections)?;
    thread::sleep(TIME_WAIT);
    let (after, empty_after) = (runs()?, floor.runs()?);
    drop((load, floor, statistics));
    agent.stop()?;
    let since = |((hook, after), (_, before)): (_, (_, Runs))| (hook, Runs::since(after, before));
    let empty: Vec<(Hook, Runs)> = empty_after
        .into_iter()
        .zip(empty_before)
        .map(since)
        .collect();
    let row = |(name, after): (String, Runs)| {
        let ours = after.since(before.get(&name).copied().unwrap_or_default());
        with_empty(name, ours, &empty)
    };
    let rows: Result<Vec<Program>> = after.into_iter().map(row).collect();
    Ok((made.connections, rows?))
}

/// A program beside the empty one on its hook.
fn with_empty(name: String, ours: Runs, empty: &[(Hook, Runs)]) -> Result<Program> {
    let program = PROGRAMS.iter().find(|it| it.name == name);
    let hook = program.context("the manifest has not all programs")?.hook;
    let empty = empty.iter().find(|(it, _)| *it == hook);
    let (_, empty) = *empty.with_context(|| format!("no empty program beside {name}"))?;
    Ok(Program {
        name,
        hook: floor::name(hook),
        ours,
        empty,
    })
}

/// CPU of the load in slices, watched by one after the other; before and after by nobody.
fn cost(twin: Twin, hooks: &[Hook], connections: u64) -> Result<Cost> {
    thread::sleep(REST);
    let mut load = Churn::new(1, SECONDS)?;
    let slice = connections.div_ceil(SLICES);
    let mut go = || Ok::<f64, anyhow::Error>(load.go(slice)?.each_ns());
    // The first connections of a namespace fill its caches.
    go()?;
    let mut bare = vec![go()?];
    let mut floor = Vec::new();
    for _ in 0..SLICES {
        let attached = Floor::attach(hooks)?;
        floor.push(go()?);
        drop(attached);
        bare.push(go()?);
    }
    let before = *bare.last().context("there is a slice")?;
    let watching = start(twin)?;
    let (counted, cpu) = (watching.counted()?, watching.cpu()?);
    let agent: Vec<f64> = (0..SLICES).map(|_| go()).collect::<Result<_>>()?;
    let made = SLICES * slice;
    let (cpu_after, after) = watching.caught_up(counted, 2 * made)?;
    watching.stop()?;
    let ended = after.ended - counted.ended;
    ensure!(
        ended >= 2 * made && after.lost == counted.lost,
        "the agent told {ended} ends of {made} connections"
    );
    let last = go()?;
    let added = |with: f64, before: f64, after: f64| with - f64::midpoint(before, after);
    let around = bare.iter().zip(bare.iter().skip(1));
    let floor_added = floor.iter().zip(around);
    let floor_added = floor_added.map(|(with, (before, after))| added(*with, *before, *after));
    let agent_added = agent.iter().map(|with| added(*with, before, last));
    let own = u64::try_from(cpu_after.saturating_sub(cpu).as_nanos())?;
    Ok(Cost {
        floor_added: floor_added.collect(),
        agent_added: agent_added.collect(),
        own: ratio(number(own), number(made)),
        bare,
    })
}
