//! How long each probe of the agent runs, by the kernel's own statistics.
//!
//! Takes the agent; gives time and number of runs for each program under churn. Sets
//! `kernel.bpf_stats_enabled` for that time, which costs each run two looks at a clock, and puts
//! it back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::agent::Observer;
use super::load::Churn;
use super::stats::{number, ratio};
use super::{Options, Section, bpftool};

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
const SECONDS: u64 = 300;

/// One program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    program: String,
    runs_each: f64,
    ns_a_run: f64,
    pub(super) ns_a_connection: f64,
}

/// Measures it.
pub(super) fn measure(agent: &Path, options: &Options) -> Result<Section> {
    let heading = "## Run time of each probe\n\n";
    let Some(bpftool) = &options.tools.bpftool else {
        return Ok(Section {
            name: "probes",
            table: format!("{heading}Not measured: bpftool is missing.\n"),
            data: json!(null),
            checks: Vec::new(),
        });
    };
    let running = Observer::start(agent, &[])?;
    let (connections, rows) = of_process(running.pid(), bpftool, options)?;
    running.stop()?;
    Ok(Section {
        name: "probes",
        table: format!("{heading}{}", table(&rows)),
        data: json!({ "connections": connections, "rows": rows }),
        checks: Vec::new(),
    })
}

/// Run times of the programs that a process has attached, while so many connections are made.
pub(super) fn of_process(pid: u32, bpftool: &Path, options: &Options) -> Result<(u64, Vec<Row>)> {
    let of_programs = || -> Result<BTreeMap<String, (u64, u64)>> {
        let programs = bpftool::attached_by(bpftool, pid)?;
        let figures = |it: bpftool::Program| (it.name, (it.run_cnt, it.run_time_ns));
        Ok(programs.into_iter().map(figures).collect())
    };
    let mut load = Churn::new(options.threads, SECONDS)?;
    let statistics = Statistics::on()?;
    let before = of_programs()?;
    let made = load.go(options.connections)?.connections;
    let after = of_programs()?;
    drop(statistics);
    let row = |(program, (runs, time)): (String, (u64, u64))| {
        let (runs_before, time_before) = before.get(&program).copied().unwrap_or_default();
        let (runs, time) = (number(runs - runs_before), number(time - time_before));
        Row {
            program,
            runs_each: ratio(runs, number(made)),
            ns_a_run: if runs > 0.0 { time / runs } else { 0.0 },
            ns_a_connection: ratio(time, number(made)),
        }
    };
    Ok((made, after.into_iter().map(row).collect()))
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "By `kernel.bpf_stats_enabled`, under the same churn. The clock is read twice for each run \
         and is part of its time, so that what a probe adds to a connection is less.\n\n\
         | program | runs a connection | ns a run | ns a connection |\n|---|--:|--:|--:|\n",
    );
    for row in rows {
        let _infallible = writeln!(
            text,
            "| `{}` | {:.2} | {:.0} | {:.0} |",
            row.program, row.runs_each, row.ns_a_run, row.ns_a_connection
        );
    }
    let whole: f64 = rows.iter().map(|row| row.ns_a_connection).sum();
    let _infallible = writeln!(text, "| all | | | {whole:.0} |");
    text
}

/// The statistics are on until it is dropped.
pub(super) struct Statistics(String);

impl Statistics {
    pub(super) fn on() -> Result<Self> {
        let before = fs::read_to_string(STATISTICS).context(STATISTICS)?;
        fs::write(STATISTICS, "1").with_context(|| format!("cannot set {STATISTICS}"))?;
        Ok(Self(before))
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        drop(fs::write(STATISTICS, self.0.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_adds_up_the_others() {
        let row = |program: &str, ns_a_connection| Row {
            program: program.to_owned(),
            runs_each: 10.0,
            ns_a_run: 42.0,
            ns_a_connection,
        };
        let text = table(&[row("a", 420.0), row("b", 80.0)]);
        let lines: Vec<&str> = text.lines().skip(4).collect();
        let expected = [
            "| `a` | 10.00 | 42 | 420 |",
            "| `b` | 10.00 | 42 | 80 |",
            "| all | | | 500 |",
        ];
        assert_eq!(lines, expected);
    }
}
