//! Every test there is, in the order of what fails fastest: unit tests, goldens
//! and properties; the dashboards; the kernel tests on this machine's own kernel, and those with
//! real servers and a real Prometheus; the kernel tests in VMs. Takes no part in what they check,
//! gives the sums and the matrix of verdicts.

mod e2e;
mod mutate;
mod native;
mod real;
mod shown;
mod vms;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::matrix::Matrix;
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::{command, place};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Leave out the VMs, for a quick loop
    #[arg(long)]
    no_vm: bool,
    /// Leave out the probes of each kind in turn, in VMs: some case must be told otherwise
    #[arg(long, conflicts_with = "no_vm")]
    mutate: bool,
    /// With --mutate, only scenarios whose name has this in it
    #[arg(requires = "mutate")]
    filter: Option<String>,
}

/// Tests of all kinds, counted together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// `cargo xtask test`.
pub(crate) fn main(args: &Args) -> Result<()> {
    if args.mutate {
        return mutate::run(args.filter.as_slice());
    }
    let parts: &[Part] = if args.no_vm {
        &[Part::Probes]
    } else {
        &[Part::Probes, Part::Vm]
    };
    setup::ensure(parts)?;
    let mut sum = Sum::default();
    let mut faults = Vec::new();
    let mut lines = Vec::new();
    let mut matrix = Matrix::default();

    let watch = Stopwatch::start();
    if !workspace(&mut sum)? {
        faults.push("a test of the workspace failed, see above".to_owned());
    }
    lines.push(format!("workspace tests took {watch}"));

    if !shown::run(&mut sum, &mut lines)? {
        faults.push("a check of the dashboards failed, see above".to_owned());
    }

    let watch = Stopwatch::start();
    matrix.append(native::run(&mut sum, &mut faults, &mut lines)?);
    lines.push(format!("kernel tests on this kernel took {watch}"));

    if !real::run(&mut sum, &mut lines)? {
        faults.push("a test with a real server failed, see above".to_owned());
    }

    if !e2e::run(&mut sum, &mut lines)? {
        faults.push("a check under a real Prometheus failed, see above".to_owned());
    }

    if args.no_vm {
        lines.push("kernel tests in VMs: skipped, --no-vm was given".to_owned());
        sum.skipped += 1;
    } else {
        matrix.append(vms::run(&mut sum, &mut faults, &mut lines)?);
    }
    println!("{}", matrix.publish()?);
    faults.extend(matrix.faults());
    for line in &lines {
        println!("{line}");
    }
    // The last lines are what CI keeps, so the whole of each stands here, as one line.
    for fault in &faults {
        println!("{}", one_line(fault));
    }
    println!(
        "{} passed, {} failed, {} skipped",
        sum.passed, sum.failed, sum.skipped
    );
    if sum.failed > 0 || !faults.is_empty() {
        bail!("the tests failed");
    }
    Ok(())
}

/// As much of a fault as one can read.
fn one_line(fault: &str) -> String {
    const MOST: usize = 2000;
    let words: Vec<&str> = fault.split_whitespace().collect();
    words.join(" ").chars().take(MOST).collect()
}

/// `cargo test` but for the kernel tests, which have their own turn.
fn workspace(sum: &mut Sum) -> Result<bool> {
    let mut is_good = true;
    for words in [
        ["--workspace", "--exclude", "xtask", "--no-fail-fast"].as_slice(),
        &["--package", "xtask", "--lib", "--bins", "--no-fail-fast"],
    ] {
        let mut cargo = command::cargo();
        cargo
            .arg("test")
            .args(words)
            .current_dir(place::repository());
        is_good &= counted(&mut cargo, sum)?;
    }
    Ok(is_good)
}

/// Runs a test command, shows its output as it comes and reads the counts from
/// it.
fn counted(cargo: &mut Command, sum: &mut Sum) -> Result<bool> {
    let line = command::line(cargo);
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{line}`"))?;
    let output = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    for text in BufReader::new(output).lines() {
        let text = text?;
        println!("{text}");
        if text.starts_with("skipped: ") {
            sum.skipped += 1;
        }
        sum.add(&text);
    }
    Ok(child.wait()?.success())
}

impl Sum {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, text: &str) {
        let Some(counts) = text.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| {
            counts
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
                .unwrap_or_default()
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.skipped += count("ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_with_all_that_it_says() {
        let fault = "7.2: ports_exhausted: {\n  \"left\": 3,\n  \"ports\": 200\n}\n";
        let line = "7.2: ports_exhausted: { \"left\": 3, \"ports\": 200 }";
        assert_eq!(one_line(fault), line);
        assert_eq!(one_line(&"é ".repeat(5000)).chars().count(), 2000);
    }

    #[test]
    fn the_counts_are_read_from_the_result_line_of_libtest() {
        let mut sum = Sum::default();
        sum.add("test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.00s");
        sum.add("test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out");
        sum.add("running 3 tests");
        assert_eq!(
            sum,
            Sum {
                passed: 13,
                failed: 4,
                skipped: 2
            }
        );
    }
}
