//! Connections that end in every way that needs no waiting, in random order, at full speed.
//!
//! Takes the agent's path, a count and a seed; holds each verdict of both ends, the totals
//! and the audit against what was done. Needs root. Keeps to a namespace of its own.

mod deal;
mod kinds;
mod tally;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::measure::{Checks, Reading};
use super::{nameless, raise_file_limit, say};
use crate::audited::{Auditor, Line};
use crate::judge::EQUAL;
use crate::scenario::clock::{now, wait_for};
use crate::scenario::net::Net;
use deal::Ledger;
use tally::Tally;

/// How long the last connections may take to end.
const LAST: Duration = Duration::from_secs(30);

/// `cargo xtask load mixed`.
#[derive(Debug, clap::Args)]
pub struct Mixed {
    /// How many connections
    #[arg(long, default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=deal::MOST as i64))]
    connections: u32,
    /// What decides their order [default: random, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Which kind of probe the agent is to prefer
    #[arg(long, default_value = "auto")]
    backend: String,
}

/// Runs it with this agent.
pub fn run(agent_path: &Path, mixed: &Mixed) -> Result<()> {
    raise_file_limit()?;
    let seed = mixed.seed.map_or_else(random_seed, Ok)?;
    let connections = mixed.connections;
    say(&format!(
        "{connections} connections that end in mixed ways; again with --seed {seed}"
    ))?;
    let (send_net, net) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    thread::scope(move |scope| {
        let traffic = scope.spawn(move || -> Result<Traffic> {
            let net = Net::enter_plain()?;
            net.add_void()?;
            net.set("tcp_max_tw_buckets", "1000000")?;
            send_net.send((net.path(), net.inode))?;
            may_go.recv()?;
            let start = now();
            let ledger = deal::run(connections as usize, seed)?;
            let took = start.elapsed();
            wait_for("the last connections", LAST, || {
                Ok((net.unfinished()? == 0).then_some(()))
            })?;
            let counters = net.counters()?;
            Ok(Traffic {
                ledger,
                counters,
                took,
                _net: net,
            })
        });
        let Ok((netns, inode)) = net.recv() else {
            return joined(traffic).map(drop);
        };
        let lines = nameless()?;
        let backend = ["--backend", &mixed.backend];
        let auditor = Auditor::start(agent_path, &netns, &backend, lines.try_clone()?)?;
        let before = Reading::of(auditor.address())?;
        go.send(()).context("the load is gone")?;
        let traffic = joined(traffic)?;
        say(&format!("  it took {:.1} s", traffic.took.as_secs_f64()))?;
        let audit = auditor.settled(&traffic.counters)?;
        let after = Reading::of(auditor.address())?;
        let stopped = auditor.stop()?;
        let tally = Tally::of(lines, inode, &traffic.ledger)?;
        let mut checks = Checks::default();
        checks.exactly("events lost", after.lost - before.lost, 0)?;
        checks.row("exit status is 0", 0, "", stopped.status.success())?;
        show(&traffic.ledger, &tally, &mut checks)?;
        show_audit(&audit, &tally, &mut checks)?;
        checks.conclude()
    })
}

/// What was done. The namespace lives as long as this.
struct Traffic {
    ledger: Ledger,
    counters: BTreeMap<String, i64>,
    took: Duration,
    _net: Net,
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(_panic) => bail!("the load panicked"),
    }
}

fn random_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes) >> 1)
}

/// Ends that may be told as partial, for what the load beside this says of its `HIDDEN`.
fn hidden(made: u64) -> u64 {
    made / 40_000 + 1
}

fn show(ledger: &Ledger, tally: &Tally, checks: &mut Checks) -> Result<()> {
    for (kind, count) in &ledger.kinds {
        say(&format!("  {kind:48} {count:>12}"))?;
    }
    let made: u64 = tally.totals.values().map(|(made, _)| made).sum();
    checks.exactly("lines, one for each end that was made", tally.lines, made)?;
    checks.exactly("ends without a line", tally.missing, 0)?;
    checks.exactly("lines about an end that had one", tally.twice, 0)?;
    checks.exactly("lines about no end that was made", tally.foreign, 0)?;
    checks.exactly("lines with a wrong ending or role", tally.wrong, 0)?;
    checks.at_most("partial lines", tally.partial, hidden(made))?;
    for ((ending, role), (made, told)) in &tally.totals {
        let what = format!("{ending}, {role}");
        let limit = format!("{made} were made");
        let holds = told <= made && made - told <= tally.partial;
        checks.row(&what, *told, &limit, holds)?;
    }
    for example in &tally.examples {
        say(&format!("  for example: {example}"))?;
    }
    Ok(())
}

/// A hidden event that makes a line partial can make a counter differ by one, too.
fn show_audit(audit: &[Line], tally: &Tally, checks: &mut Checks) -> Result<()> {
    for line in audit {
        let sum = line.since_start.unwrap_or_default();
        let (Some(kernel), Some(observed)) = (sum.kernel, sum.observed) else {
            continue;
        };
        let equal = EQUAL.contains(&line.counter.as_str());
        let odd = if equal {
            kernel - observed
        } else {
            sum.unexplained
        };
        let limit = match (equal, line.judged) {
            (true, _) => format!("the kernel: {kernel}"),
            (false, Some(true)) => format!("{kernel} less {}", kernel - observed - odd),
            (false, _) => format!("{kernel}, not judged"),
        };
        let holds = odd.unsigned_abs() <= tally.partial;
        let observed = u64::try_from(observed)?;
        checks.row(&format!("audit: {}", line.counter), observed, &limit, holds)?;
    }
    Ok(())
}
