//! The agent's memory by how many connections there are, open and closing, and after them.
//!
//! Takes the agent; gives RssAnon of an agent of its own for each size, and what an end adds to it.

use std::fmt::Write as _;
use std::mem;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::agent::Observer;
use super::limits::{Limit, Limits};
use super::load::{Churn, Held};
use super::stats::{number, ratio};
use super::{Section, say};
use crate::load::anonymous_kib;
use crate::scenario::clock::wait_for;

/// Connections; the agent follows both ends. Of the last it follows as many ends as it can.
const SIZES: [u64; 3] = [10_000, 100_000, 520_000];
/// Connections whose client closes, at most, of which the agent follows all: the client's end is
/// closing then, in FIN_WAIT2, and the server's is open still, in CLOSE_WAIT.
const MOST_CLOSING: u64 = 130_000;
/// Of the churn afterwards.
const CHURN: u64 = 200_000;
const SECONDS: u64 = 120;
/// Ends between two looks that are others'.
const FEW: u64 = 100;
/// How long the agent may need to hear of the last of them.
const HEARS: Duration = Duration::from_secs(30);
/// Between the last event and the look at its memory.
const SETTLES: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    connections: u64,
    /// Connections of them whose client closed, and whose server did not.
    half_closed: u64,
    start_kib: u64,
    live_kib: u64,
    closing_kib: u64,
    closed_kib: u64,
    churned_kib: u64,
    /// Events, of all of it.
    lost: u64,
}

/// Measures each size.
pub(super) fn measure(agent: &Path, limits: &Limits) -> Result<Section> {
    let mut rows = Vec::new();
    for connections in SIZES {
        let row = one(agent, connections).with_context(|| format!("{connections} connections"))?;
        say(&format!("memory: {row:?}"))?;
        rows.push(row);
    }
    let most = rows.last().context("there is a size")?;
    let checks = vec![
        limits.check(Limit::OpenBytes, &[most.open_bytes()])?,
        limits.check(Limit::ClosingBytes, &[most.closing_bytes()])?,
    ];
    Ok(Section {
        name: "memory",
        table: table(&rows),
        data: json!(rows),
        checks,
    })
}

fn one(agent: &Path, connections: u64) -> Result<Row> {
    let running = Observer::start(agent, &[])?;
    let memory = || {
        thread::sleep(SETTLES);
        anonymous_kib(running.pid())
    };
    let before = running.counted()?;
    let start_kib = memory()?;
    let ends = 2 * connections;
    let mut held = Held::new(connections)?;
    wait_for("the agent to follow all of them", HEARS, || {
        Ok((running.counted()?.tracked >= ends).then_some(()))
    })?;
    let live_kib = memory()?;
    let half_closed = held.close_clients(MOST_CLOSING)?;
    let closing_kib = memory()?;
    drop(held);
    settled(&running)?;
    let closed_kib = memory()?;
    let mut load = Churn::new(1, SECONDS)?;
    load.go(CHURN)?;
    drop(load);
    let churned_kib = memory()?;
    let lost = running.counted()?.lost - before.lost;
    running.stop()?;
    Ok(Row {
        connections,
        half_closed,
        start_kib,
        live_kib,
        closing_kib,
        closed_kib,
        churned_kib,
        lost,
    })
}

/// Waits until no more ends are told. Not for all of them: so many that close at once may be more
/// than the ring holds.
fn settled(running: &Observer) -> Result<()> {
    let mut last = running.counted()?.ended;
    wait_for("the agent to see the ends", HEARS, || {
        thread::sleep(SETTLES);
        let ended = running.counted()?.ended;
        // To look is a connection too.
        Ok((ended - mem::replace(&mut last, ended) < FEW).then_some(()))
    })
}

impl Row {
    /// What an open end adds.
    fn open_bytes(&self) -> f64 {
        each(self.live_kib, self.start_kib, 2 * self.connections)
    }

    /// What the closing end of a half closed connection takes: what it adds, and what it took while
    /// it was open.
    fn closing_bytes(&self) -> f64 {
        each(self.closing_kib, self.live_kib, self.half_closed) + self.open_bytes()
    }
}

/// What grew, in bytes for each of so many ends.
fn each(kib: u64, before_kib: u64, ends: u64) -> f64 {
    let grown = kib.saturating_sub(before_kib) * 1024;
    ratio(number(grown), number(ends))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "## Memory by connections\n\nRssAnon, MiB. *Closing*: the client has closed, the server \
         has not, of as many as the second column says. *Bytes an open end*: what grew, over \
         both ends of each. *A closing end*: what grew then, over the ends that closed first, with \
         what they took while they were open. *After churn*: after {CHURN} more \
         that were opened and closed at once. *Lost*: events of all this; the processes that hold \
         the connections close theirs all at the same time, more of them in a moment than any \
         churn. The kernel's ring stands beside it, `--ring-size`, and does not grow.\n\n\
         | connections | half closed | at start | open | closing | closed | after churn | bytes an \
         open end | a closing end | lost |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let mib = |kib: u64| number(kib) / 1024.0;
        let _infallible = writeln!(
            text,
            "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {} |",
            row.connections,
            row.half_closed,
            mib(row.start_kib),
            mib(row.live_kib),
            mib(row.closing_kib),
            mib(row.closed_kib),
            mib(row.churned_kib),
            row.open_bytes(),
            row.closing_bytes(),
            row.lost,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_an_end_are_what_grew_over_the_ends_that_made_it_grow() {
        let row = Row {
            connections: 1024,
            half_closed: 512,
            start_kib: 1024,
            live_kib: 2048,
            closing_kib: 3072,
            closed_kib: 1024,
            churned_kib: 1536,
            lost: 7,
        };
        let text = table(&[row]);
        let expected = "| 1024 | 512 | 1.0 | 2.0 | 3.0 | 1.0 | 1.5 | 512 | 2560 | 7 |";
        assert_eq!(text.lines().last(), Some(expected));
    }
}
