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
use super::stats::{Quartiles, number, ratio};
use super::{Options, Section, bpftool};

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
const SECONDS: u64 = 300;
/// Runs without stacks and with them, in turn.
const TURNS: u32 = 5;

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
    let run = |flags: &[&str]| {
        let running = Observer::start(agent, flags)?;
        let rows = of_process(running.pid(), bpftool, options)?;
        running.stop()?;
        anyhow::Ok(rows)
    };
    let (connections, rows) = run(&[])?;
    let (mut without, mut with_stacks) = (vec![whole(&rows)], Vec::new());
    for turn in 0..TURNS {
        with_stacks.push(whole(&run(&["--stacks"])?.1));
        if turn + 1 < TURNS {
            without.push(whole(&run(&[])?.1));
        }
    }
    let alls = [
        ("in each run", Quartiles::of(&without)),
        ("with `--stacks`", Quartiles::of(&with_stacks)),
    ];
    Ok(Section {
        name: "probes",
        table: format!("{heading}{}", table(&rows, &alls)),
        data: json!({
            "connections": connections,
            "rows": rows,
            "all": without,
            "all_with_stacks": with_stacks,
        }),
        checks: Vec::new(),
    })
}

/// What all of them take of a connection, ns.
fn whole(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.ns_a_connection).sum()
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

fn table(rows: &[Row], alls: &[(&str, Option<Quartiles>)]) -> String {
    let mut text = String::from(
        "By `kernel.bpf_stats_enabled`, under the same churn. The clock is read twice for each run \
         and is part of its time; what the kernel does around a run is none of it. The last rows \
         are medians of runs in turn, with the quartiles in brackets.\n\n\
         | program | runs a connection | ns a run | ns a connection |\n|---|--:|--:|--:|\n",
    );
    for row in rows {
        if row.runs_each > 0.0 {
            let _infallible = writeln!(
                text,
                "| `{}` | {:.2} | {:.0} | {:.0} |",
                row.program, row.runs_each, row.ns_a_run, row.ns_a_connection
            );
        }
    }
    let _infallible = writeln!(text, "| all | | | {:.0} |", whole(rows));
    for (which, all) in alls {
        if let Some(all) = all {
            let cell = all.cell(1.0);
            let _infallible = writeln!(text, "| all, {which} | | | {cell} |");
        }
    }
    let idle = rows.iter().filter(|row| row.runs_each <= 0.0);
    let idle: Vec<String> = idle.map(|row| format!("`{}`", row.program)).collect();
    if !idle.is_empty() {
        let _infallible = writeln!(text, "\nNothing of this load runs {}.", idle.join(", "));
    }
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
        let rows = [row("a", 420.0), row("b", 80.0)];
        let text = table(&rows, &[("twice", Quartiles::of(&[500.0, 510.0]))]);
        let lines: Vec<&str> = text.lines().skip(4).collect();
        let expected = [
            "| `a` | 10.00 | 42 | 420 |",
            "| `b` | 10.00 | 42 | 80 |",
            "| all | | | 500 |",
            "| all, twice | | | 505.00 (502.50–507.50) |",
        ];
        assert_eq!(lines, expected);
    }
}
