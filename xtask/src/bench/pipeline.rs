//! What an event costs in the agent by itself: decode, track, classify, count.
//!
//! Takes the benchmark of that, which criterion runs; gives nanoseconds for an event, by how many
//! connections there are beside, and how often events allocate. Leaves criterion's own files in the
//! folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::limits::{Limit, Limits};
use super::stats::{Quartiles, ratio};
use super::{Options, Section, say};

const HEADING: &str = "## An event in the agent\n\n";

/// Benchmarks of the group, and how many connections stay open beside the churn.
const RUNS: [(&str, u32); 2] = [("churn_beside_0", 0), ("churn_beside_100000", 100_000)];

/// What else this machine does for half a minute is then less than a quarter of the samples.
const TURNS: usize = 5;

#[derive(Debug, Serialize)]
struct Row {
    beside: u32,
    /// For an event, of each sample.
    ns: Vec<f64>,
}

/// What criterion writes of the samples of a benchmark.
#[derive(Debug, Deserialize)]
struct Samples {
    iters: Vec<f64>,
    /// Nanoseconds of all iterations of a sample.
    times: Vec<f64>,
}

/// What criterion writes of a benchmark.
#[derive(Debug, Deserialize)]
struct Benchmark {
    throughput: Throughput,
}

#[derive(Debug, Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: f64,
}

/// Measures it.
pub(super) fn measure(options: &Options, limits: &Limits, folder: &Path) -> Result<Section> {
    let Some(program) = &options.pipeline else {
        return Ok(Section {
            name: "pipeline",
            table: format!("{HEADING}Not measured: the benchmark was not built.\n"),
            data: json!(null),
            checks: Vec::new(),
        });
    };
    say("pipeline: criterion measures it five times, for two minutes")?;
    let home = folder.join("criterion");
    let mut rows = RUNS.map(|(_, beside)| Row { beside, ns: vec![] });
    let (mut allocated, mut of) = (0.0, 0.0);
    for _ in 0..TURNS {
        let (count, events) = turn(program, &home, &mut rows)?;
        allocated += count;
        of += events;
    }
    let alone = rows.first().context("there is a run")?;
    let checks = vec![
        limits.check(Limit::PipelineEvent, &alone.ns)?,
        limits.check(Limit::Allocations, &[allocated])?,
    ];
    Ok(Section {
        name: "pipeline",
        table: table(&rows, allocated, of),
        data: json!({ "rows": rows, "allocations": allocated, "of_events": of }),
        checks,
    })
}

/// Runs it once, adds its samples, and gives how many allocations so many events made.
fn turn(program: &Path, home: &Path, rows: &mut [Row]) -> Result<(f64, f64)> {
    let output = Command::new(program)
        .args(["--bench", "--noplot", "pipeline"])
        .env("CRITERION_HOME", home)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("could not start {}", program.display()))?;
    let status = output.status;
    ensure!(status.success(), "{} failed ({status})", program.display());
    for (row, (name, _)) in rows.iter_mut().zip(RUNS) {
        row.ns
            .extend(samples(&home.join("pipeline").join(name).join("new"))?);
    }
    allocations(&String::from_utf8_lossy(&output.stdout))
}

/// How many allocations so many events made: `allocations: 0 of 26624 events`.
fn allocations(said: &str) -> Result<(f64, f64)> {
    let mut lines = said.lines();
    let line = lines.find_map(|line| line.strip_prefix("allocations: "));
    let line = line.context("the benchmark said nothing of allocations")?;
    let words = line
        .strip_suffix(" events")
        .and_then(|it| it.split_once(" of "));
    let (count, of) = words.with_context(|| format!("no two numbers: {line}"))?;
    Ok((count.parse()?, of.parse()?))
}

/// Nanoseconds for an event, of each sample that criterion left in this folder.
fn samples(folder: &Path) -> Result<Vec<f64>> {
    let text = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let samples: Samples = serde_json::from_str(&text("sample.json")?)?;
    let benchmark: Benchmark = serde_json::from_str(&text("benchmark.json")?)?;
    let each = samples.iters.iter().zip(&samples.times);
    Ok(each
        .map(|(iters, ns)| ratio(ratio(*ns, *iters), benchmark.throughput.elements))
        .collect())
}

fn table(rows: &[Row], allocated: f64, of: f64) -> String {
    let mut text = format!(
        "{HEADING}From the ring's bytes to the counts, by criterion, in {TURNS} turns: decode, track, classify, \
         count. Connect, accept, close on both sides, and beside them connections that stay open. In the \
         steady state {of:.0} events make {allocated:.0} allocations.\n\n\
         | ends open beside | ns an event |\n|--:|--:|\n"
    );
    for row in rows {
        let shown = Quartiles::of(&row.ns);
        let shown = shown.map_or_else(|| "–".to_owned(), |it| it.cell(1.0));
        let _infallible = writeln!(text, "| {} | {shown} |", row.beside);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_benchmark_says_of_allocations_is_read() {
        let said = "other\nallocations: 3 of 26624 events\n";
        assert_eq!(allocations(said).unwrap(), (3.0, 26_624.0));
        for said in ["", "allocations: 3 events", "allocations: a of b events"] {
            allocations(said).unwrap_err();
        }
    }

    #[test]
    fn a_sample_is_divided_by_its_iterations_and_their_events() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("sample.json", r#"{"iters":[1,2],"times":[1000,3000]}"#);
        write("benchmark.json", r#"{"throughput":{"Elements":10}}"#);
        assert_eq!(samples(folder.path()).unwrap(), [100.0, 150.0]);
    }
}
