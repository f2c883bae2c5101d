//! What a census costs, by how many sockets there are.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::crowd::Crowd;
use crate::demo::get;
use crate::figures::{Cost, Scrape};
use crate::load::raise_file_limit;
use crate::scenario::clock::now;
use crate::watching::{CENSUS_CEILING, Watching};

/// Sockets in CLOSE_WAIT and in TIME_WAIT.
const SIZES: [(usize, usize); 3] = [(0, 0), (10_000, 0), (100_000, 200_000)];

/// Censuses that are averaged where all sockets stay.
const CENSUSES: u32 = 5;

/// Between two questions whether a census is over: each costs the agent something too.
const BETWEEN: Duration = Duration::from_millis(250);

/// Scrapes of which the slowest is told.
const SCRAPES: usize = 20;

/// What was measured at one size.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    close_wait: u64,
    time_wait: u64,
    census_seconds: f64,
    cpu_seconds_per_census: f64,
    resident_kib: u64,
    peak_kib: u64,
    scrape_median_seconds: f64,
    scrape_slowest_seconds: f64,
    scrape_bytes: usize,
}

/// Measures each size with an agent of its own.
pub(super) fn measure(agent: &Path) -> Result<Vec<Row>> {
    raise_file_limit()?;
    SIZES
        .iter()
        .map(|(close_wait, time_wait)| one(agent, *close_wait, *time_wait))
        .collect()
}

fn one(agent: &Path, close_wait: usize, time_wait: usize) -> Result<Row> {
    let crowd = Crowd::new()?;
    let watching = Watching::start(agent, &[])?;
    crowd.close_wait(close_wait)?;
    // All of them leak for longer than the threshold when the second begins.
    censuses(&watching, 2)?;
    crowd.time_wait(time_wait)?;
    censuses(&watching, 1)?;
    let pid = watching.agent.pid();
    let before = Cost::of(pid)?;
    // TIME_WAIT lasts a minute, and a census of so many rests for long.
    let count = if time_wait > 0 { 1 } else { CENSUSES };
    censuses(&watching, count)?;
    let after = Cost::of(pid)?;
    let page = watching.last()?.context("there was a census")?;
    let took = page.get("took_seconds").and_then(Value::as_f64);
    let scrapes = (0..SCRAPES).map(|_| Scrape::of(watching.address));
    let scrapes = scrapes.collect::<Result<Vec<_>>>()?;
    let last = scrapes.last().context("there is one")?;
    let sockets = |state: &str| last.value(&format!("tcp_observer_sockets{{state=\"{state}\"}}"));
    let mut times: Vec<Duration> = scrapes.iter().map(|it| it.took).collect();
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(0.0, Duration::as_secs_f64);
    let row = Row {
        close_wait: sockets("close_wait")?,
        time_wait: sockets("time_wait")?,
        census_seconds: took.context("no took_seconds")?,
        cpu_seconds_per_census: (after.cpu.saturating_sub(before.cpu) / count).as_secs_f64(),
        resident_kib: after.resident_kib,
        peak_kib: after.peak_kib,
        scrape_median_seconds: at(SCRAPES / 2),
        scrape_slowest_seconds: at(SCRAPES - 1),
        scrape_bytes: last.text.len(),
    };
    drop(watching.agent.stop()?);
    Ok(row)
}

/// Waits until so many more censuses are over.
fn censuses(watching: &Watching, count: u32) -> Result<()> {
    let start = now();
    let (mut last, mut over) = (None, 0);
    while over <= count {
        ensure!(
            start.elapsed() < CENSUS_CEILING,
            "{over} censuses in too long a time"
        );
        // Before the first one there is no page.
        if let Ok(text) = get(watching.address, "/api/v1/connections?limit=1") {
            let page: Value = serde_json::from_str(&text).context("no JSON")?;
            let taken = page.get("taken_at").cloned();
            over += u32::from(taken != last);
            last = taken;
        }
        thread::sleep(BETWEEN);
    }
    Ok(())
}

/// As Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "## Enumeration: one census of every network namespace\n\n\
         *RSS* counts the pages of the ring twice, as they are mapped. *CPU*: of the whole process, \
         from one census to the next.\n\n\
         | CLOSE_WAIT | TIME_WAIT | census, s | CPU, s | RSS, MiB | peak, MiB | scrape, ms | \
         slowest, ms | bytes |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let _infallible = writeln!(
            text,
            "| {} | {} | {:.3} | {:.3} | {} | {} | {:.1} | {:.1} | {} |",
            row.close_wait,
            row.time_wait,
            row.census_seconds,
            row.cpu_seconds_per_census,
            row.resident_kib >> 10,
            row.peak_kib >> 10,
            row.scrape_median_seconds * 1e3,
            row.scrape_slowest_seconds * 1e3,
            row.scrape_bytes,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_heading() {
        let row = Row {
            close_wait: 1,
            time_wait: 2,
            census_seconds: 0.25,
            cpu_seconds_per_census: 0.125,
            resident_kib: 2048,
            peak_kib: 4096,
            scrape_median_seconds: 0.001,
            scrape_slowest_seconds: 0.002,
            scrape_bytes: 99,
        };
        let text = table(&[row]);
        let lines: Vec<&str> = text.lines().skip(4).collect();
        let cells = lines.iter().map(|line| line.matches('|').count());
        assert_eq!(cells.collect::<Vec<_>>(), [10, 10, 10]);
        let expected = "| 1 | 2 | 0.250 | 0.125 | 2 | 4 | 1.0 | 2.0 | 99 |";
        assert_eq!(lines.last(), Some(&expected));
    }
}
