//! Every test there is, in the order of what fails fastest: unit tests, goldens
//! and properties; the kernel tests on this machine's own kernel; the kernel
//! tests in VMs. Takes no part in what they check, gives the sums.

mod native;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::vm;
use crate::{command, place};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Leave out the VMs, for a quick loop
    #[arg(long)]
    no_vm: bool,
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
    let parts: &[Part] = if args.no_vm {
        &[Part::Probes]
    } else {
        &[Part::Probes, Part::Vm]
    };
    setup::ensure(parts)?;
    let mut sum = Sum::default();
    let mut faults = Vec::new();
    let mut lines = Vec::new();

    let watch = Stopwatch::start();
    if !workspace(&mut sum)? {
        faults.push("a test of the workspace failed, see above".to_owned());
    }
    lines.push(format!("workspace tests took {watch}"));

    let watch = Stopwatch::start();
    native::run(&mut sum, &mut faults, &mut lines)?;
    lines.push(format!("kernel tests on this kernel took {watch}"));

    if args.no_vm {
        lines.push("kernel tests in VMs: skipped, --no-vm was given".to_owned());
        sum.skipped += 1;
    } else {
        let watch = Stopwatch::start();
        let totals = vm::run(&vm::Args::everything())?;
        lines.push(totals.to_string());
        lines.push(format!("kernel tests in VMs took {watch}"));
        sum.passed += totals.passed;
        sum.failed += totals.failed;
        sum.skipped += totals.skipped;
        faults.extend(totals.faults);
    }
    for line in &lines {
        println!("{line}");
    }
    // The whole of it stands above; here one line each.
    for fault in &faults {
        println!("{}", fault.lines().next().unwrap_or_default());
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
