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
use crate::demo::metrics;
use crate::judge::EQUAL;
use crate::scenario::clock::{now, wait_for};
use crate::scenario::net::Net;
use deal::Ledger;
use tally::Tally;

/// How long the last connections may take to end.
const LAST: Duration = Duration::from_secs(30);

/// As many as the smallest machine has CPUs.
const LANES: u8 = 2;

/// `cargo xtask load mixed`.
#[derive(Debug, clap::Args)]
pub struct Mixed {
    /// How many connections
    #[arg(long, default_value = "100000", value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// How many threads make them; more than the machine has CPUs displace each other
    #[arg(long, default_value_t = LANES, value_parser = clap::value_parser!(u8).range(1..=deal::MOST_LANES as i64))]
    pub lanes: u8,
    /// What decides their order [default: random, and printed]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Which kind of probe the agent is to prefer
    #[arg(long, default_value = "auto")]
    pub backend: String,
}

/// Runs it with this agent.
pub fn run(agent_path: &Path, mixed: &Mixed) -> Result<()> {
    raise_file_limit()?;
    let seed = mixed.seed.map_or_else(random_seed, Ok)?;
    let (connections, lanes) = (mixed.connections, mixed.lanes);
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
            let ledger = deal::run(connections as usize, lanes.into(), seed)?;
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
        say_lost(&metrics(auditor.address())?)?;
        let stopped = auditor.stop()?;
        let tally = Tally::of(lines, inode, &traffic.ledger)?;
        let mut checks = Checks::default();
        let made = tally.totals.values().map(|(made, _)| made).sum();
        let bounds = Bounds::of(made, after.lost - before.lost, lanes);
        let limit = if bounds.preempted {
            "told"
        } else {
            "exactly 0"
        };
        let holds = bounds.preempted || bounds.lost == 0;
        checks.row("events lost", bounds.lost, limit, holds)?;
        checks.row("exit status is 0", 0, "", stopped.status.success())?;
        show(&traffic.ledger, &tally, &bounds, &mut checks)?;
        show_audit(&audit, &tally, &bounds, &mut checks)?;
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

/// Each kind of event that was lost, if any was.
fn say_lost(page: &str) -> Result<()> {
    let lost = page
        .lines()
        .filter(|line| line.starts_with("tcp_observer_events_lost_total") && !line.ends_with(" 0"));
    for line in lost {
        say(&format!("  {line}"))?;
    }
    Ok(())
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

/// What may differ from what was made.
struct Bounds {
    made: u64,
    lost: u64,
    /// More threads than CPUs: a kernel that preempts the probes may show an event to none of them.
    preempted: bool,
}

impl Bounds {
    fn of(made: u64, lost: u64, lanes: u8) -> Self {
        Self {
            made,
            lost,
            preempted: lanes > LANES,
        }
    }

    /// Ends about which an event that no probe was shown may leave the agent without a line, or with
    /// a partial one that is wrong.
    fn bereft(&self) -> u64 {
        if self.preempted { self.lost } else { 0 }
    }

    /// The same, and what the load beside this says of its `HIDDEN`.
    fn hidden(&self) -> u64 {
        self.made / 40_000 + 1 + self.bereft()
    }

    /// Lost events make all that is open then partial.
    fn partial(&self) -> u64 {
        if self.bereft() > 0 {
            self.made
        } else {
            self.hidden()
        }
    }
}

fn show(ledger: &Ledger, tally: &Tally, bounds: &Bounds, checks: &mut Checks) -> Result<()> {
    for (kind, count) in &ledger.kinds {
        say(&format!("  {kind:48} {count:>12}"))?;
    }
    let ends = "lines, one for each end that was made, and ends without";
    checks.exactly(ends, tally.lines + tally.missing, bounds.made)?;
    checks.at_most("ends without a line", tally.missing, bounds.bereft())?;
    checks.exactly("lines about an end that had one", tally.twice, 0)?;
    checks.exactly("lines about no end that was made", tally.foreign, 0)?;
    checks.exactly("lines with a wrong ending or role", tally.wrong, 0)?;
    checks.at_most("partial lines", tally.partial, bounds.partial())?;
    let what = "partial lines with a wrong ending or role";
    checks.at_most(what, tally.doubtful, bounds.hidden())?;
    // A lost event makes each ending unknown that the event, had it been of that connection, would
    // have told from another.
    let what = "partial lines with an unknown ending";
    checks.at_most(what, tally.undecided, bounds.partial())?;
    for ((ending, role), (made, told)) in &tally.totals {
        let what = format!("{ending}, {role}");
        let limit = format!("{made} were made");
        let odd = tally.doubtful + tally.undecided + tally.missing;
        let holds = told <= made && made - told <= odd;
        checks.row(&what, *told, &limit, holds)?;
    }
    for example in &tally.examples {
        say(&format!("  for example: {example}"))?;
    }
    Ok(())
}

/// A hidden event that makes a line partial can make a counter differ by one, too.
fn show_audit(audit: &[Line], tally: &Tally, bounds: &Bounds, checks: &mut Checks) -> Result<()> {
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
        let most = if bounds.preempted {
            // Kernels before 6.12 do not count which kprobes they skip within others.
            bounds.hidden()
        } else {
            bounds.hidden().min(tally.partial)
        };
        let holds = odd.unsigned_abs() <= most;
        let observed = u64::try_from(observed)?;
        checks.row(&format!("audit: {}", line.counter), observed, &limit, holds)?;
    }
    Ok(())
}
