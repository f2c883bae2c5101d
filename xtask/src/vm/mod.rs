//! Runs the kernel tests on every kernel of the table, each in a VM.
//! Takes kernels, backends and filters, gives counts; needs no root on the host
//! and never touches its network. One boot per kernel runs all backends.

mod archive;
mod guest;
mod modules;
mod qemu;
pub(crate) mod report;
mod totals;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::setup::kernels::{Cached, KERNELS, Kernel};
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::{artifacts, place};
use guest::Guest;
use qemu::{Accelerator, Machine};
use report::Report;
pub(crate) use totals::{BACKENDS, Totals, without_backend};

/// How many lines of a console tell what went wrong.
const TAIL: usize = 40;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these kernels, by series: 6.1,7.2 [default: all]
    #[arg(long, value_delimiter = ',', value_parser = series)]
    kernels: Vec<&'static Kernel>,
    /// Only these backends
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fentry,kprobe,tracepoint"
    )]
    backend: Vec<Backend>,
    /// Minutes that one boot may take
    #[arg(long, default_value = "12")]
    limit: u64,
    /// Filters and options for the kernel tests
    #[arg(last = true)]
    filter: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    Fentry,
    Kprobe,
    Tracepoint,
}

fn series(name: &str) -> Result<&'static Kernel, String> {
    KERNELS
        .iter()
        .find(|kernel| kernel.series == name)
        .ok_or_else(|| {
            let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.series).collect();
            format!("no such kernel; there are {}", known.join(", "))
        })
}

/// `cargo xtask vm`.
pub(crate) fn main(args: &Args) -> Result<()> {
    let totals = run(args)?;
    if !totals.faults.is_empty() {
        bail!(
            "kernel tests failed in {} of the VMs' reports",
            totals.faults.len()
        );
    }
    Ok(())
}

impl Args {
    /// Every kernel, every backend, every case: the defaults of the command line.
    pub(crate) fn everything() -> Self {
        Self {
            kernels: Vec::new(),
            backend: vec![Backend::Fentry, Backend::Kprobe, Backend::Tracepoint],
            limit: 12,
            filter: Vec::new(),
        }
    }
}

/// Boots the kernels one after the other and prints a line for each.
pub(crate) fn run(args: &Args) -> Result<Totals> {
    if env::consts::ARCH != "x86_64" {
        bail!(
            "the VMs run x86_64 kernels with programs of this host, which is {}",
            env::consts::ARCH
        );
    }
    setup::ensure(&[Part::Probes, Part::Vm])?;
    let mut totals = Totals::of_backends(args.backend.len());
    let (present, missing) = chosen(&args.kernels)?;
    for kernel in &missing {
        println!(
            "kernel {:<5} skipped: it is not in the cache",
            kernel.series
        );
        totals.skipped += 1;
    }
    if !missing.is_empty() && is_required() {
        let text = "a kernel is missing; set ALLOW_MISSING_KERNELS=1 to test without it";
        totals.faults.push(text.to_owned());
    }
    let Some((_, first)) = present.first() else {
        bail!("there is no kernel to test on; run `cargo xtask setup vm`");
    };
    let guests = Guests {
        agent: artifacts::agent()?,
        tests: artifacts::kernel_tests()?,
        accelerator: qemu::accelerator(&first.folder.join("vmlinuz"))?,
        seed: seed()?,
        args,
    };
    println!(
        "kernel tests with {}, seed {}",
        guests.backends(),
        guests.seed
    );
    for (kernel, cached) in &present {
        guests.boot(kernel, cached, &mut totals)?;
    }
    Ok(totals)
}

/// A kernel and where the cache has it.
type Present = (&'static Kernel, Cached);

/// The wanted kernels that the cache has, and those that it has not.
fn chosen(wanted: &[&'static Kernel]) -> Result<(Vec<Present>, Vec<&'static Kernel>)> {
    let mut present = Vec::new();
    let mut missing = Vec::new();
    let is_wanted =
        |kernel: &&Kernel| wanted.is_empty() || wanted.iter().any(|it| it.series == kernel.series);
    for kernel in KERNELS.iter().filter(is_wanted) {
        match kernel.cached()? {
            Some(cached) => present.push((kernel, cached)),
            None => missing.push(kernel),
        }
    }
    Ok((present, missing))
}

/// Under CI every kernel of the table counts.
fn is_required() -> bool {
    env::var_os("CI").is_some() && env::var_os("ALLOW_MISSING_KERNELS").is_none()
}

/// The seed of the tests' own choices: given, to repeat a run, or random.
fn seed() -> Result<u64> {
    if let Ok(given) = env::var("KERNEL_TEST_SEED") {
        return given
            .parse()
            .with_context(|| format!("KERNEL_TEST_SEED is no number: {given}"));
    }
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")
        .context("could not read /proc/sys/kernel/random/uuid")?;
    let digits: String = uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(8)
        .collect();
    u64::from_str_radix(&digits, 16).context("the kernel's random uuid has no digits")
}

/// What all guests of one run share.
struct Guests<'a> {
    agent: PathBuf,
    tests: PathBuf,
    accelerator: Accelerator,
    seed: u64,
    args: &'a Args,
}

impl Guests<'_> {
    fn backends(&self) -> String {
        let names: Vec<String> = self
            .args
            .backend
            .iter()
            .map(|backend| format!("{backend:?}").to_lowercase())
            .collect();
        names.join(",")
    }

    fn boot(&self, kernel: &Kernel, cached: &Cached, totals: &mut Totals) -> Result<()> {
        let watch = Stopwatch::start();
        let folder = place::target().join("vm").join(kernel.series);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        fs::write(folder.join("seed"), format!("{}\n", self.seed))?;
        let initramfs = folder.join("initramfs");
        let guest = Guest {
            agent: &self.agent,
            tests: &self.tests,
            backends: &self.backends(),
            seed: self.seed,
            arguments: &self.args.filter,
        };
        fs::write(&initramfs, guest.pack(&cached.folder)?)
            .with_context(|| format!("could not write {}", initramfs.display()))?;
        let console = folder.join("console.log");
        let results = folder.join("results.jsonl");
        let boot = Machine {
            vmlinuz: &cached.folder.join("vmlinuz"),
            initramfs: &initramfs,
            console: &console,
            results: &results,
            accelerator: self.accelerator,
            limit: Duration::from_secs(self.args.limit * 60),
        }
        .boot()?;
        fs::remove_file(&initramfs)?;
        let console = read(&console)?;
        let report = report::judge(&console, &read(&results)?, boot);
        print(kernel, &report, watch);
        if !report.is_success() {
            print_failure(kernel, &report, &console, &folder);
        }
        totals.add(kernel.series, &report);
        Ok(())
    }
}

fn print(kernel: &Kernel, report: &Report, watch: Stopwatch) {
    let boot = report.boot_seconds.map_or_else(
        || "did not boot".to_owned(),
        |seconds| format!("booted in {seconds:.1} s"),
    );
    println!(
        "kernel {:<5} {boot}: {} passed, {} failed, {} skipped, {watch} in all",
        kernel.series,
        report.passed,
        report.failed,
        report.skipped.len(),
    );
    for (case, reason) in &report.skipped {
        println!("  skipped {case}: {reason}");
    }
}

fn print_failure(kernel: &Kernel, report: &Report, console: &str, folder: &Path) {
    let lines: Vec<&str> = console.lines().collect();
    println!("--- the console of {} ends with", kernel.series);
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        println!("{line}");
    }
    println!("---");
    for fault in &report.faults {
        println!("kernel {:<5} {fault}", kernel.series);
    }
    println!("console, results and seed are in {}", folder.display());
}

/// A serial port's text. The guest writes bytes, and a crash may cut a
/// character in two.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}
