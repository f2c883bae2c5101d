//! Runs the kernel tests on the kernels of the table, each in a VM.
//! Takes a processor, kernels, backends and filters, gives counts; needs no root
//! on the host and never touches its network. One boot per kernel runs all
//! backends.

mod archive;
mod boot;
mod emulator;
mod guest;
mod initramfs;
mod libraries;
mod measuring;
mod modules;
mod qemu;
pub(crate) mod report;
mod skips;
mod totals;

use std::env;
use std::fs;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;
use crate::artifacts;
use crate::setup::kernels::{self, Cached, Kernel};
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use boot::Guests;
pub(crate) use measuring::run as measuring;
pub(crate) use totals::{BACKENDS, Totals, without_backend};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kernels of this processor [default: this machine's]
    #[arg(long)]
    arch: Option<Arch>,
    /// Only these kernels, by series: 6.1,7.2 [default: all]
    #[arg(long, value_delimiter = ',')]
    kernels: Vec<String>,
    /// Every case also on another processor than this machine's, where one case per ending
    /// is the default
    #[arg(long)]
    all: bool,
    /// Only these backends
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fentry,kprobe,tracepoint"
    )]
    backend: Vec<Backend>,
    /// Minutes that one boot may take
    #[arg(long, default_value = "16")]
    limit: u64,
    /// Filters and options for the kernel tests; they choose among all cases
    #[arg(last = true)]
    filter: Vec<String>,
    /// The mutation check instead of the cases
    #[arg(skip)]
    mutate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    Fentry,
    Kprobe,
    Tracepoint,
}

impl Backend {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// `cargo xtask vm`.
pub(crate) fn main(args: &Args) -> Result<()> {
    let mut totals = run(args)?;
    if totals.kernels == 0 {
        bail!("there was no kernel to test on; run `cargo xtask setup`");
    }
    println!("{}", totals.matrix.publish()?);
    totals.faults.extend(totals.matrix.faults());
    if !totals.faults.is_empty() {
        bail!(
            "kernel tests failed in {} of the VMs' reports",
            totals.faults.len()
        );
    }
    Ok(())
}

impl Args {
    /// Every kernel of a processor and every backend, with the cases that are the
    /// default there.
    pub(crate) fn of(arch: Arch) -> Self {
        Self {
            arch: Some(arch),
            kernels: Vec::new(),
            all: false,
            backend: vec![Backend::Fentry, Backend::Kprobe, Backend::Tracepoint],
            limit: 16,
            filter: Vec::new(),
            mutate: false,
        }
    }

    /// The mutation check on one kernel.
    pub(crate) fn mutation(series: &str, backends: &[&str], filter: &[String]) -> Result<Self> {
        let wanted = |backend: &Backend| backends.contains(&backend.name().as_str());
        let everything = Self::of(Arch::host()?);
        Ok(Self {
            kernels: vec![series.to_owned()],
            backend: everything.backend.into_iter().filter(wanted).collect(),
            limit: 20,
            filter: filter.to_vec(),
            mutate: true,
            ..everything
        })
    }

    fn one_per_ending(&self, arch: Arch) -> bool {
        !arch.is_host() && !self.all && self.filter.is_empty()
    }
}

/// Boots the kernels one after the other and prints a line for each.
pub(crate) fn run(args: &Args) -> Result<Totals> {
    let arch = args.arch.map_or_else(Arch::host, Ok)?;
    if !arch.is_host() && arch != Arch::Arm64 {
        bail!(
            "{} kernels are tested on their own machines only",
            arch.name()
        );
    }
    setup::ensure(&[Part::Probes, part(arch)])?;
    let mut totals = Totals::of_backends(arch, args.backend.len());
    let (present, missing) = chosen(arch, &args.kernels)?;
    for kernel in &missing {
        println!(
            "kernel {:<5} skipped: it is not in the cache",
            kernel.name()
        );
        totals.skipped += 1;
    }
    if !missing.is_empty() && is_required() {
        let text = "a kernel is missing; set ALLOW_MISSING_KERNELS=1 to test without it";
        totals.faults.push(text.to_owned());
    }
    let Some((_, first)) = present.first() else {
        if arch.is_host() {
            bail!("there is no kernel to test on; run `cargo xtask setup vm`");
        }
        return Ok(totals);
    };
    let watch = Stopwatch::start();
    let (agent, tests) = (
        artifacts::agent_for(arch)?,
        artifacts::kernel_tests_for(arch)?,
    );
    if !arch.is_host() {
        println!("built for {} in {watch}", arch.name());
    }
    let guests = Guests {
        agent,
        tests,
        accelerator: qemu::accelerator(arch, &first.folder.join("vmlinuz"))?,
        seed: seed()?,
        one_per_ending: args.one_per_ending(arch),
        args,
    };
    guests.announce();
    Ok(boot_all(&guests, &present, totals))
}

/// Boots them, as many at once as the machine has processors for.
fn boot_all(guests: &Guests<'_>, present: &[Present], totals: Totals) -> Totals {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let at_once = (processors / guests.accelerator.processors()).clamp(1, present.len().max(1));
    let (waiting, totals) = (Mutex::new(present.iter()), Mutex::new(totals));
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let boot_next = || {
        while let Some((kernel, cached)) = next() {
            let booted = guests.boot(kernel, cached);
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            match booted {
                Ok((report, text)) => {
                    print!("{text}");
                    totals.add(&kernel.name(), &report);
                }
                // What the others said is not lost with one that could not be booted.
                Err(error) => {
                    let fault = format!("{}: {error:#}", kernel.name());
                    println!("{fault}");
                    totals.faults.push(fault);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(boot_next);
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What VMs of a processor need.
fn part(arch: Arch) -> Part {
    if arch.is_host() {
        Part::Vm
    } else {
        Part::Arm64
    }
}

/// A kernel and where the cache has it.
type Present = (&'static Kernel, Cached);

/// The wanted kernels that the cache has, and those that it has not.
fn chosen(arch: Arch, wanted: &[String]) -> Result<(Vec<Present>, Vec<&'static Kernel>)> {
    let known: Vec<&str> = kernels::of(arch).map(|kernel| kernel.series).collect();
    if let Some(name) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        let (arch, known) = (arch.name(), known.join(", "));
        bail!("there is no {arch} kernel {name}; there are {known}");
    }
    let mut present = Vec::new();
    let mut missing = Vec::new();
    let is_wanted =
        |kernel: &&Kernel| wanted.is_empty() || wanted.iter().any(|name| name == kernel.series);
    for kernel in kernels::of(arch).filter(is_wanted) {
        match kernel.cached()? {
            Some(cached) => present.push((kernel, cached)),
            None => missing.push(kernel),
        }
    }
    Ok((present, missing))
}

/// Under CI every kernel of the table counts.
pub(crate) fn is_required() -> bool {
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
