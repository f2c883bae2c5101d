//! How long the agent needs until it is ready, and how much memory then.
//!
//! Takes the agent; gives both for as many sockets as there are before it starts. Ready is when
//! `/-/ready` answers so: every probe is attached and the first census is over.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;

use super::agent::{Observer, READY_CEILING, free_address, is_ready};
use super::limits::{Limit, Limits};
use super::load::Held;
use super::maps::Maps;
use super::stats::{Quartiles, number};
use super::{Options, Section, say};
use crate::load::anonymous_kib;
use crate::scenario::clock::now;

/// Sockets that are there before; two a connection.
const SOCKETS: [u64; 3] = [0, 10_000, 100_000];
/// Runs of the agent for each.
const RUNS: u32 = 5;
const LOOK: Duration = Duration::from_millis(2);

/// Anonymous resident memory of an agent that has just become ready.
pub(super) fn memory(agent: &Path, options: &Options, limits: &Limits) -> Result<Section> {
    let (mut samples, mut maps) = (Vec::new(), Maps::default());
    for _ in 0..options.rounds.min(RUNS) {
        let running = Observer::start(agent, &[])?;
        samples.push(number(anonymous_kib(running.pid())?) / 1024.0);
        maps = Maps::of(running.pid())?;
        running.stop()?;
    }
    let shown = Quartiles::of(&samples).context("there is a run")?;
    Ok(Section {
        name: "start",
        table: format!(
            "## Memory once ready\n\nRssAnon with default options: {:.1} MiB \
             ({:.1}–{:.1}, {} starts). Beside it the kernel has a ring of {:.1} MiB, which is \
             `--ring-size`, and other maps of {:.1} KiB.\n",
            shown.median,
            shown.lower,
            shown.upper,
            samples.len(),
            number(maps.ring) / 1024.0 / 1024.0,
            number(maps.others) / 1024.0,
        ),
        data: json!({
            "rss_anon_mib": samples,
            "ring_bytes": maps.ring,
            "other_maps_bytes": maps.others,
        }),
        checks: vec![limits.check(Limit::StartRssAnon, &samples)?],
    })
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    sockets: u64,
    seconds: Vec<f64>,
}

/// Time from the start of the process until it is ready.
pub(super) fn ready(agent: &Path, options: &Options, limits: &Limits) -> Result<Section> {
    let mut rows = Vec::new();
    for sockets in SOCKETS {
        let held = Held::open(sockets / 2)?;
        let runs = (0..options.rounds.min(RUNS)).map(|_| one(agent));
        let seconds = runs.collect::<Result<Vec<f64>>>()?;
        drop(held);
        say(&format!("ready with {sockets} sockets: {seconds:.3?} s"))?;
        rows.push(Row { sockets, seconds });
    }
    let most = rows.last().map(|row| row.seconds.clone());
    Ok(Section {
        name: "ready",
        table: table(&rows),
        data: json!(rows),
        checks: vec![limits.check(Limit::Ready, &most.unwrap_or_default())?],
    })
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "## Time until ready\n\nFrom the start of the process until `/-/ready` says so: all \
         probes attached, and one census over.\n\n\
         | sockets before | s, median | quartiles |\n|--:|--:|--:|\n",
    );
    for row in rows {
        if let Some(it) = Quartiles::of(&row.seconds) {
            let _infallible = writeln!(
                text,
                "| {} | {:.3} | {:.3}–{:.3} |",
                row.sockets, it.median, it.lower, it.upper
            );
        }
    }
    text
}

/// Killed when it is dropped.
struct Starting(Child);

impl Drop for Starting {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One start, in seconds.
fn one(agent: &Path) -> Result<f64> {
    let address = free_address()?;
    let mut command = Command::new(agent);
    command.args(["run", "--web.listen-address", &address.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = now();
    let spawned = command.stderr(Stdio::null()).spawn();
    let mut starting = Starting(spawned.context("cannot start the agent")?);
    while !is_ready(address) {
        if let Some(status) = starting.0.try_wait()? {
            bail!("the agent ended with {status}");
        }
        if start.elapsed() > READY_CEILING {
            bail!("the agent is not ready after {} s", READY_CEILING.as_secs());
        }
        thread::sleep(LOOK);
    }
    Ok(start.elapsed().as_secs_f64())
}
