//! The agent's memory by how many connections there are, open and closing, and after them.
//!
//! Takes the agent; gives RssAnon of an agent of its own for each size, the kernel's memory for its
//! maps, and what an end takes.

use std::fmt::Write as _;
use std::mem;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::agent::{Counted, Observer};
use super::limits::{Limit, Limits};
use super::load::{Churn, Held};
use super::maps::Maps;
use super::stats::{number, ratio};
use super::{Section, say};
use crate::load::anonymous_kib;
use crate::scenario::clock::wait_for;

/// Connections; the agent follows both ends. Of the last it follows as many ends as it can.
const SIZES: [u64; 3] = [10_000, 100_000, 520_000];
/// Connections at most whose client is closing, of which the agent follows all.
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
    start_kib: u64,
    live_kib: u64,
    closed_kib: u64,
    churned_kib: u64,
    /// The kernel's memory for its maps: the ring, and the others.
    ring_bytes: u64,
    maps_bytes: u64,
    /// Events, of all of it.
    lost: u64,
    closing: Closing,
}

/// Another agent: connections whose client sent its FIN as soon as it was accepted, and whose server
/// did not. One end of each is closing, the other is open.
#[derive(Clone, Copy, Debug, Serialize)]
struct Closing {
    connections: u64,
    start_kib: u64,
    grown_kib: u64,
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
        limits.check(Limit::OpenBytes, &[most.whole_bytes()])?,
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
    let before = running.counted()?;
    let start_kib = settled_kib(&running)?;
    let held = Held::open(connections)?;
    followed(&running, |it| it.tracked >= 2 * connections)?;
    let live_kib = settled_kib(&running)?;
    let maps = Maps::of(running.pid())?;
    drop(held);
    settled(&running)?;
    let closed_kib = settled_kib(&running)?;
    let mut load = Churn::new(1, SECONDS)?;
    load.go(CHURN)?;
    drop(load);
    let churned_kib = settled_kib(&running)?;
    let lost = running.counted()?.lost - before.lost;
    running.stop()?;
    Ok(Row {
        connections,
        start_kib,
        live_kib,
        closed_kib,
        churned_kib,
        ring_bytes: maps.ring,
        maps_bytes: maps.others,
        lost,
        closing: closing(agent, connections.min(MOST_CLOSING))?,
    })
}

fn closing(agent: &Path, connections: u64) -> Result<Closing> {
    let running = Observer::start(agent, &[])?;
    let start_kib = settled_kib(&running)?;
    let held = Held::half_closed(connections)?;
    followed(&running, |it| it.closing >= connections)?;
    let grown_kib = settled_kib(&running)?;
    drop(held);
    running.stop()?;
    Ok(Closing {
        connections,
        start_kib,
        grown_kib,
    })
}

fn settled_kib(running: &Observer) -> Result<u64> {
    thread::sleep(SETTLES);
    anonymous_kib(running.pid())
}

fn followed(running: &Observer, all: impl Fn(Counted) -> bool) -> Result<()> {
    wait_for("the agent to follow all of them", HEARS, || {
        Ok(all(running.counted()?).then_some(()))
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

    /// All of the agent's memory and of its maps', the ring among them, for each open end.
    fn whole_bytes(&self) -> f64 {
        let bytes = self.live_kib * 1024 + self.ring_bytes + self.maps_bytes;
        ratio(number(bytes), number(2 * self.connections))
    }

    /// What a closing end adds: what a half closed connection does, but for its open end.
    fn closing_bytes(&self) -> f64 {
        let it = &self.closing;
        each(it.grown_kib, it.start_kib, it.connections) - self.open_bytes()
    }
}

/// What grew, in bytes for each of so many.
fn each(kib: u64, before_kib: u64, count: u64) -> f64 {
    let grown = kib.saturating_sub(before_kib) * 1024;
    ratio(number(grown), number(count))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "## Memory by connections\n\nRssAnon, MiB; *ring* and *other maps*: the kernel's memory for \
         the agent's BPF maps (`memlock` of `fdinfo`), MiB and KiB; the ring is `--ring-size`, and \
         none of them grows. The agent follows both ends of each connection, and has room for \
         1,048,576 open ones (`/status` says so). *Bytes an open end adds*: what grew, over both \
         ends of each; where they are few, what grows once counts most. *With all*: RssAnon and all \
         maps, over these ends. *After churn*: after {CHURN} more that were opened and closed at once. *Lost*: \
         events of all this; the processes that hold the connections close theirs all at the same \
         time, more of them in a moment than any churn.\n\n\
         | connections | at start | open | closed | after churn | ring | other maps | bytes an open \
         end adds | with all | lost |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    let mib = |kib: u64| number(kib) / 1024.0;
    for row in rows {
        let _infallible = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {} |",
            row.connections,
            mib(row.start_kib),
            mib(row.live_kib),
            mib(row.closed_kib),
            mib(row.churned_kib),
            mib(row.ring_bytes / 1024),
            number(row.maps_bytes) / 1024.0,
            row.open_bytes(),
            row.whole_bytes(),
            row.lost,
        );
    }
    text += "\nHalf closed connections: each client sends its FIN as soon as it is accepted, and no \
         server does, so that one end is closing and the other open. *Bytes a closing end adds*: \
         what grew, over these connections, less what the open end adds in the table above.\n\n\
         | half closed | at start | closing | bytes a closing end adds |\n|--:|--:|--:|--:|\n";
    for row in rows {
        let it = &row.closing;
        let _infallible = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.0} |",
            it.connections,
            mib(it.start_kib),
            mib(it.grown_kib),
            row.closing_bytes(),
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
            start_kib: 1024,
            live_kib: 2048,
            closed_kib: 1024,
            churned_kib: 1536,
            ring_bytes: 1 << 20,
            maps_bytes: 2048,
            lost: 7,
            closing: Closing {
                connections: 512,
                start_kib: 1024,
                grown_kib: 2048,
            },
        };
        let text = table(&[row]);
        let rows: Vec<&str> = text
            .lines()
            .filter(|it| !it.contains("---") && it.starts_with("| "))
            .collect();
        assert_eq!(
            rows.get(1).copied(),
            Some("| 1024 | 1.0 | 2.0 | 1.0 | 1.5 | 1.0 | 2.0 | 512 | 1537 | 7 |")
        );
        // 2048 for both ends of each.
        assert_eq!(rows.last().copied(), Some("| 512 | 1.0 | 2.0 | 1536 |"));
    }
}
