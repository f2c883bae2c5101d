//! 100,000 sockets in CLOSE_WAIT and 200,000 in TIME_WAIT, while an agent takes censuses.
//!
//! Takes the agent's path; holds what it finds against what was made, its memory against a
//! bound, and sees that no event was lost and no scrape was late. Needs root.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::measure::{Checks, Reading};
use super::{HIDDEN, lines, raise_file_limit, say, trace};
use crate::crowd::Crowd;
use crate::figures::{Cost, Scrape, Scraper};
use crate::scenario::clock::{now, wait_for};
use crate::watching::{CENSUS_CEILING, Watching};

const CLOSE_WAIT: usize = 100_000;
const TIME_WAIT: usize = 200_000;
/// Both ends of each connection.
const ENDS: u64 = 2 * (CLOSE_WAIT + TIME_WAIT) as u64;
/// A server that does not read acknowledges a FIN late, from a timer, which interrupts whatever
/// runs: the tasks among it under which one kernel hides events from every agent (see [`HIDDEN`]).
const HIDDEN_FROM_TIMERS: u64 = ENDS / 1000;
/// The most memory that the agent may need, in KiB.
const MEMORY: u64 = 640 << 10;
/// The longest that a scrape may take, in milliseconds, on a machine with nothing to spare.
const SCRAPE: u64 = 1000;
/// How long the last connections may take to end.
const LAST: Duration = Duration::from_mins(1);

/// Runs it with this agent.
pub fn run(agent_path: &Path) -> Result<()> {
    raise_file_limit()?;
    let mut checks = Checks::default();
    let crowd = Crowd::new()?;
    let watching = Watching::start(agent_path, &[])?;
    let (tracer, lines) = trace(agent_path, crowd.netns)?;
    let before = Reading::of(watching.address)?;
    let cost = Cost::of(watching.agent.pid())?;
    let scraper = Scraper::start(watching.address)?;

    let start = now();
    crowd.close_wait(CLOSE_WAIT)?;
    said(&format!("{CLOSE_WAIT} in CLOSE_WAIT"), start.elapsed())?;
    found(&watching, &crowd, &mut checks)?;
    let start = now();
    crowd.time_wait(TIME_WAIT)?;
    said(&format!("{TIME_WAIT} in TIME_WAIT"), start.elapsed())?;
    let made = crowd.count()?.minisocks;
    let all = TIME_WAIT as u64;
    checks.row(
        "minisocks, as the kernel counts",
        made,
        &format!("at least {all}"),
        made >= all,
    )?;
    let page = watching.next()?;
    let scrape = Scrape::of(watching.address)?;
    let waiting = scrape.value("tcp_observer_sockets{state=\"time_wait\"}")?;
    // Those that are over by now may have been there at the census.
    let least = crowd.count()?.minisocks.min(all);
    let limit = format!("at least {least}");
    checks.row(
        "TIME_WAIT at the last census",
        waiting,
        &limit,
        waiting >= least,
    )?;
    told(&watching, &page, cost)?;

    let start = now();
    crowd.release()?;
    said("closed", start.elapsed())?;
    healed(&watching, &crowd, &mut checks)?;
    over(&watching, before, &mut checks)?;
    let losses = tracer.stop()?.errors;
    let losses = losses.iter().filter(|line| line.contains("lost"));
    checks.exactly("lines about losses, trace", losses.count() as u64, 0)?;
    traced(lines, &mut checks)?;
    let (slowest, count) = scraper.slowest()?;
    let slowest = u64::try_from(slowest.as_millis())?;
    checks.at_most(&format!("slowest of {count} scrapes, ms"), slowest, SCRAPE)?;
    let size = scrape.text.len() as u64;
    checks.at_most("bytes of a scrape", size, 200_000)?;
    let peak = Cost::of(watching.agent.pid())?.peak_kib;
    checks.at_most("VmHWM of the agent, KiB", peak, MEMORY)?;
    checks.row(
        "exit status of the agent is 0",
        0,
        "",
        watching.agent.stop()?.status.success(),
    )?;
    checks.conclude()
}

fn said(what: &str, took: Duration) -> Result<()> {
    say(&format!("  {what} after {:.1} s", took.as_secs_f64()))
}

/// What one census cost.
fn told(watching: &Watching, page: &Value, before: Cost) -> Result<()> {
    let took = page.get("took_seconds").and_then(Value::as_f64);
    let cost = Cost::of(watching.agent.pid())?;
    say(&format!(
        "  a census takes {:.2} s; the agent has {} KiB and was on a CPU for {:.1} s so far",
        took.context("no took_seconds")?,
        cost.resident_kib,
        cost.cpu.saturating_sub(before.cpu).as_secs_f64()
    ))
}

/// All of them are told, with who holds them.
fn found(watching: &Watching, crowd: &Crowd, checks: &mut Checks) -> Result<()> {
    let start = now();
    let count = |page: &Value| -> u64 {
        let count = |it: &Value| it.get("count").and_then(Value::as_u64);
        leaks(page, crowd).filter_map(count).sum()
    };
    let all = CLOSE_WAIT as u64;
    let page = wait_for("all of them to be told", CENSUS_CEILING, || {
        let page = watching.next()?;
        Ok((count(&page) >= all).then_some(page))
    })?;
    said("all are told", start.elapsed())?;
    checks.exactly("leaked sockets told", count(&page), all)?;
    let holders = leaks(&page, crowd).filter_map(|it| it.get("holders")?.as_array());
    let fds = |it: &Value| it.get("fd_count").and_then(Value::as_u64);
    let held = holders.flatten().filter_map(fds).sum();
    checks.exactly("descriptors of their holders", held, all)
}

/// Leaks in the crowd's namespace.
fn leaks<'a>(page: &'a Value, crowd: &Crowd) -> impl Iterator<Item = &'a Value> {
    let findings = page.get("findings").and_then(Value::as_array);
    let netns = crowd.netns;
    findings.into_iter().flatten().filter(move |it| {
        it.get("netns").and_then(Value::as_u64) == Some(netns)
            && it.get("kind").and_then(Value::as_str) == Some("close_wait_leak")
    })
}

/// The next census tells none of them any more.
fn healed(watching: &Watching, crowd: &Crowd, checks: &mut Checks) -> Result<()> {
    let page = watching.next()?;
    let told = leaks(&page, crowd).count() as u64;
    checks.exactly("leaks told after they were closed", told, 0)
}

/// Every end had a verdict, and no event was lost.
fn over(watching: &Watching, before: Reading, checks: &mut Checks) -> Result<()> {
    let mut after = Reading::of(watching.address)?;
    let least = ENDS - HIDDEN;
    // That it is late is what the row below says.
    drop(wait_for("the last ends", LAST, || {
        after = Reading::of(watching.address)?;
        Ok((after.ended - before.ended >= ENDS).then_some(()))
    }));
    let ended = after.ended - before.ended;
    checks.row(
        "ends with a verdict",
        ended,
        &format!("at least {least}"),
        ended >= least,
    )?;
    checks.exactly("events lost", after.lost - before.lost, 0)?;
    let scrape = Scrape::of(watching.address)?;
    let corrected = |kind: &str| {
        scrape.value(&format!(
            "tcp_observer_census_corrections_total{{kind=\"{kind}\"}}"
        ))
    };
    let (ghosts, missed) = (corrected("ghost")?, corrected("missed")?);
    // Whose they are is not told, and other traffic of the host has some too.
    say(&format!(
        "  corrections on the whole host: {ghosts} ghosts, {missed} missed"
    ))
}

/// An agent without a census told each end once, whole.
fn traced(lines: File, checks: &mut Checks) -> Result<()> {
    let (mut told, mut servers, mut partial, mut example) = (0, 0, 0, None);
    lines::each(lines, |line, text| {
        told += 1;
        if line.is_partial() {
            partial += 1;
            servers += u64::from(line.role != "client");
            example.get_or_insert_with(|| text.to_owned());
        }
    })?;
    if let Some(example) = example {
        say(&format!("  for example: {example}"))?;
    }
    let limit = format!("{} to {ENDS}", ENDS - HIDDEN);
    let holds = (ENDS - HIDDEN..=ENDS).contains(&told);
    checks.row("lines about the crowd", told, &limit, holds)?;
    checks.at_most("partial lines but those of clients", servers, HIDDEN)?;
    checks.at_most("partial lines", partial, HIDDEN_FROM_TIMERS)
}
