//! The highest churn that the machine can make, and who misses what of it.
//!
//! Takes a [`Stage`]; gives how many connections a second there were
//! under each contender, and what share of them it did not tell. The agent has the load for a
//! minute, and once more with a budget; the others for some seconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::thread::{self, available_parallelism};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::json;

use super::contenders::{Contender, Stage};
use super::sample::{Sample, Work};
use super::{REST, stage};
use crate::bench::limits::{Limit, Limits};
use crate::bench::load::Churn;
use crate::bench::stats::{number, ratio};
use crate::bench::{Options, Section, say};

/// Connections that no watcher loses one of: what a tool writes for each is learned from them.
const FEW: u64 = 500;
/// Time of the peers.
const SHORT: u64 = 10;
/// No machine makes more within the time.
const MOST: u64 = 1_000_000_000;

/// One contender.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    sample: Sample,
    /// Connections a second.
    per_second: f64,
    /// Lines for one connection that is not lost; ends, for the agent.
    lines_each: u64,
    /// Share of the lines that did not come.
    missing: f64,
}

/// Measures it.
pub(in crate::bench) fn measure(
    agent: &Path,
    options: &Options,
    limits: &Limits,
) -> Result<Section> {
    let stage = stage(agent, &options.tools)?;
    let threads = u32::try_from(available_parallelism()?.get())?;
    let mut rows = BTreeMap::new();
    for contender in TELLERS {
        if stage.missing(contender).is_some() {
            continue;
        }
        let seconds = if matches!(contender, Contender::Agent | Contender::Capped) {
            options.seconds
        } else {
            SHORT.min(options.seconds)
        };
        let row = one(&stage, contender, threads, seconds);
        let row = row.with_context(|| contender.name().to_owned())?;
        say(&format!(
            "highest churn: {:28} {:.0} a second, {:.2} % missing",
            contender.name(),
            row.per_second,
            row.missing * 100.0
        ))?;
        rows.insert(contender, row);
    }
    let agent = rows.get(&Contender::Agent);
    let lost: Vec<f64> = agent.iter().map(|it| number(it.sample.lost())).collect();
    let own: Vec<f64> = agent
        .iter()
        .map(|it| it.sample.own_each_ns() / 1e3)
        .collect();
    Ok(Section {
        name: "highest",
        table: table(&stage, &rows, threads),
        data: json!({ "threads": threads, "rows": rows.values().collect::<Vec<_>>() }),
        checks: vec![
            limits.check(Limit::LostAtHighest, &lost)?,
            limits.check(Limit::OwnAtHighest, &own)?,
        ],
    })
}

/// Those that tell of each connection.
const TELLERS: [Contender; 5] = [
    Contender::Agent,
    Contender::Capped,
    Contender::Tcplife,
    Contender::Tcpstates,
    Contender::Bpftrace,
];

fn one(stage: &Stage, contender: Contender, threads: u32, seconds: u64) -> Result<Row> {
    thread::sleep(REST);
    let few = stage.run(
        contender,
        Work {
            load: &mut Churn::new(1, seconds)?,
            connections: FEW,
        },
    )?;
    // Headings and what else goes on are far less than half a line for each.
    let lines_each = (few.told + few.made.connections / 2) / few.made.connections;
    ensure!(
        lines_each > 0,
        "{} lines about {} connections",
        few.told,
        few.made.connections
    );
    thread::sleep(REST);
    let sample = stage.run(
        contender,
        Work {
            load: &mut Churn::new(threads, seconds)?,
            connections: MOST,
        },
    )?;
    let due = lines_each * sample.made.connections;
    let missing = due.saturating_sub(sample.told);
    Ok(Row {
        sample,
        per_second: ratio(
            number(sample.made.connections) * 1e9,
            number(sample.made.wall_ns),
        ),
        lines_each,
        missing: ratio(number(missing), number(due)),
    })
}

fn table(stage: &Stage, rows: &BTreeMap<Contender, Row>, threads: u32) -> String {
    let mut text = format!(
        "## The highest churn\n\n\
         As many connections as {threads} threads make while a watcher runs: one that costs more \
         leaves time for fewer, and yet may not keep up with those. *Missing*: of the \
         lines (of the agent: ends) that these connections would make if none was lost. With a \
         `--cpu-budget` the agent leaves out details first, and counts what finds no room in the ring \
         while it rests.\n\n\
         | watcher | s | connections a second | own, µs each | own, % of a CPU | lines each | missing | \
         says it lost, events |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for contender in TELLERS {
        let name = contender.name();
        let _infallible = match (rows.get(&contender), stage.missing(contender)) {
            (Some(row), _) => writeln!(
                text,
                "| {name} | {:.0} | {:.0} | {:.2} | {:.1} | {} | {:.2} % | {} |",
                number(row.sample.made.wall_ns) / 1e9,
                row.per_second,
                row.sample.own_each_ns() / 1e3,
                100.0 * ratio(number(row.sample.own_ns), number(row.sample.made.wall_ns)),
                row.lines_each,
                row.missing * 100.0,
                row.sample.said_lost
            ),
            (None, why) => writeln!(
                text,
                "| {name} | {} | – | – | – | – | – | – |",
                why.unwrap_or("not run")
            ),
        };
    }
    text
}
