//! The boot of one kernel, and what is told of it.
//! Takes what all boots of a run share and a kernel, gives a report and its text; keeps console,
//! results and seed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Args;
use super::emulator;
use super::guest::Guest;
use super::qemu::{self, Accelerator, Machine};
use super::report::{self, Boot, Report};
use super::skips::Permitted;
use crate::place;
use crate::setup::kernels::{Cached, Kernel};
use crate::stopwatch::Stopwatch;

/// How many lines of a console tell what went wrong.
const TAIL: usize = 40;

/// What all guests of one run share.
pub(super) struct Guests<'a> {
    pub(super) agent: PathBuf,
    pub(super) tests: PathBuf,
    pub(super) accelerator: Accelerator,
    pub(super) seed: u64,
    pub(super) one_per_ending: bool,
    pub(super) args: &'a Args,
}

impl Guests<'_> {
    fn backends(&self) -> String {
        let names: Vec<String> = self
            .args
            .backend
            .iter()
            .map(|backend| backend.name())
            .collect();
        names.join(",")
    }

    /// Says what is about to run.
    pub(super) fn announce(&self) {
        let cases = if self.one_per_ending {
            "one case per ending"
        } else {
            "kernel tests"
        };
        println!("{cases} with {}, seed {}", self.backends(), self.seed);
    }

    /// Boots one kernel; gives its report, and the lines that tell of it.
    pub(super) fn boot(&self, kernel: &Kernel, cached: &Cached) -> Result<(Report, String)> {
        let watch = Stopwatch::start();
        let folder = place::target().join("vm").join(kernel.folder_name());
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        fs::write(folder.join("seed"), format!("{}\n", self.seed))?;
        let initramfs = folder.join("initramfs");
        let guest = Guest {
            kernel,
            report: qemu::report_port(kernel.arch),
            agent: &self.agent,
            tests: &self.tests,
            backends: &self.backends(),
            one_per_ending: self.one_per_ending,
            seed: self.seed,
            arguments: &self.args.filter,
            mutate: self.args.mutate,
        };
        fs::write(&initramfs, guest.pack(&cached.folder)?)
            .with_context(|| format!("could not write {}", initramfs.display()))?;
        let console = folder.join("console.log");
        let results = folder.join("results.jsonl");
        let machine = Machine {
            arch: kernel.arch,
            vmlinuz: &cached.folder.join("vmlinuz"),
            initramfs: &initramfs,
            console: &console,
            results: &results,
            accelerator: self.accelerator,
            limit: Duration::from_secs(self.args.limit * 60),
            memory: 3072,
        };
        let boot = boot_alive(&machine, &kernel.name())?;
        fs::remove_file(&initramfs)?;
        let console = read(&console)?;
        let mut report = report::judge(&console, &read(&results)?, boot);
        // The mutation check leaves out what the cases show to be missing.
        if !self.args.mutate {
            report
                .faults
                .extend(permitted(kernel).faults(&report.cases));
        }
        let mut text = String::new();
        tell(kernel, &report, watch, &mut text)?;
        if !report.is_success() {
            tell_failure(kernel, &report, &console, &folder, &mut text)?;
        }
        Ok((report, text))
    }
}

/// Boots a machine, and again if it died while it was emulated.
pub(super) fn boot_alive(machine: &Machine<'_>, kernel: &str) -> Result<Boot> {
    let mut boot = machine.boot()?;
    for before in 1..emulator::BOOTS {
        let text = read(machine.console)?;
        let died = emulator::fault(&text, &read(machine.results)?);
        let silent = (boot == Boot::Silent).then_some("nothing came of it for minutes");
        let fault = died.or(silent);
        let is_emulated = machine.accelerator != Accelerator::Kvm;
        let Some(line) = fault.filter(|_| is_emulated) else {
            break;
        };
        println!("kernel {kernel:<5} died while it was emulated, booted again: {line}");
        // It helps to tell a fault of the emulator from one of the kernel or of a probe.
        let kept = machine.console.with_extension(format!("{before}.log"));
        fs::rename(machine.console, &kept)
            .with_context(|| format!("could not keep {}", kept.display()))?;
        boot = machine.boot()?;
    }
    Ok(boot)
}

fn permitted(kernel: &Kernel) -> Permitted<'_> {
    Permitted {
        backends: kernel.may_lack,
        lacks: kernel.may_not_make,
    }
}

fn tell(kernel: &Kernel, report: &Report, watch: Stopwatch, text: &mut String) -> fmt::Result {
    let boot = report.boot_seconds.map_or_else(
        || "did not boot".to_owned(),
        |seconds| format!("booted in {seconds:.1} s"),
    );
    writeln!(
        text,
        "kernel {:<5} {boot}: {} passed, {} failed, {} skipped, {watch} in all",
        kernel.name(),
        report.passed,
        report.failed,
        report.skipped.len(),
    )?;
    for (reason, cases) in by_reason(&report.skipped) {
        writeln!(text, "  skipped {}: {reason}", cases.join(", "))?;
    }
    Ok(())
}

/// What was skipped for the same reason, together.
fn by_reason(skipped: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (case, reason) in skipped {
        by_reason.entry(reason).or_default().push(case);
    }
    by_reason
}

fn tell_failure(
    kernel: &Kernel,
    report: &Report,
    console: &str,
    folder: &Path,
    text: &mut String,
) -> fmt::Result {
    writeln!(text, "--- the console of {} ends with", kernel.name())?;
    for line in last(console) {
        writeln!(text, "{line}")?;
    }
    writeln!(text, "---")?;
    for fault in &report.faults {
        writeln!(text, "kernel {:<5} {fault}", kernel.name())?;
    }
    let folder = folder.display();
    writeln!(text, "console, results and seed are in {folder}")
}

/// The lines of a console that tell what went wrong.
pub(super) fn last(console: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = console.lines().collect();
    let before = lines.len().saturating_sub(TAIL);
    lines.into_iter().skip(before)
}

/// A serial port's text. The guest writes bytes, and a crash may cut a
/// character in two.
pub(super) fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}
