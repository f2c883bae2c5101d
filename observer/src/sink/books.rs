//! The audit at `/status`.
//!
//! Takes accounts; gives serializable values, each counter with what it equals and where it
//! may differ. Never judges.

use std::time::Duration;

use serde::Serialize;

use crate::audit::{Account, Counter, LAG, Sum};
use crate::clock::Clock;
use crate::event::Timestamp;

/// The object under `audit`.
#[derive(Debug, Serialize)]
pub struct Books<'a> {
    /// Between two readings of the kernel's counters.
    interval_seconds: f64,
    /// From a reading to its judgement.
    judged_after_seconds: f64,
    namespaces: Vec<Namespace<'a>>,
}

#[derive(Debug, Serialize)]
struct Namespace<'a> {
    netns: &'a str,
    inode: u32,
    /// `waiting` until two readings were judged, then `audited`; `lost` while it cannot be read.
    state: &'static str,
    problem: Option<&'a str>,
    /// Time of the first reading.
    since: Option<String>,
    /// Times of the last two readings.
    interval: Option<[String; 2]>,
    counters: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    counter: &'static str,
    equals: Option<&'static str>,
    may_differ: &'static str,
    judged: Option<bool>,
    /// Why it is not, where the probes in force are the reason.
    blind_to: Option<&'static str>,
    interval: Option<Both>,
    since_start: Option<Both>,
}

#[derive(Debug, Serialize)]
struct Both {
    kernel: Option<u64>,
    observed: Option<u64>,
    difference: Option<i64>,
    unexplained: i64,
}

impl<'a> Books<'a> {
    /// The accounts with their times on the wall.
    pub fn new(interval: Duration, accounts: &'a [Account], clock: &Clock) -> Self {
        Self {
            interval_seconds: interval.as_secs_f64(),
            judged_after_seconds: LAG.as_secs_f64(),
            namespaces: accounts
                .iter()
                .map(|account| namespace(account, clock))
                .collect(),
        }
    }
}

fn namespace<'a>(account: &'a Account, clock: &Clock) -> Namespace<'a> {
    let wall = |at: Timestamp| format!("{:.3}", clock.wall(at));
    Namespace {
        netns: &account.name,
        inode: account.netns,
        state: match &account.problem {
            Some(_) => "lost",
            None if account.lines.is_empty() => "waiting",
            None => "audited",
        },
        problem: account.problem.as_deref(),
        since: account.since.map(wall),
        interval: account.interval.map(|(from, to)| [wall(from), wall(to)]),
        counters: Counter::ALL.map(|counter| line(account, counter)).into(),
    }
}

fn line(account: &Account, counter: Counter) -> Line {
    let row = counter.row();
    let found = account.lines.iter().find(|line| line.counter == counter);
    Line {
        counter: row.name,
        equals: row.equals,
        may_differ: row.may_differ,
        judged: found.map(|line| line.judged),
        blind_to: found.and_then(|line| line.blind_to),
        interval: found.map(|line| both(&line.interval)),
        since_start: found.map(|line| both(&line.since_start)),
    }
}

fn both(sum: &Sum) -> Both {
    Both {
        kernel: sum.kernel,
        observed: sum.observed,
        difference: sum.kernel.and(sum.observed).map(|_| sum.difference),
        unexplained: sum.unexplained,
    }
}
