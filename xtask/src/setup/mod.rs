//! Makes a machine able to build and test.
//! Takes the parts a command needs, finds or installs what they consist of,
//! through apt, rustup and cargo only. Where it may not install, it gives the
//! exact commands to run and fails; it never does half of it.

pub(crate) mod arm64;
pub(crate) mod kernels;
mod mirror;
mod needs;
pub(crate) mod probes;
mod services;

use anyhow::{Result, bail};
use nix::unistd::Uid;
use std::process::Command;

use crate::arch::Arch;
use crate::command;
use crate::stopwatch::Stopwatch;

/// What a command needs from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// A compiler with its library source, and bpf-linker.
    Probes,
    /// QEMU, busybox and the kernels of this machine's processor.
    Vm,
    /// The same for arm64, and what builds for it.
    Arm64,
    /// rustfmt, clippy for both targets, cargo-deny.
    Lint,
    /// Prometheus with promtool, and Python.
    Prometheus,
    /// Prometheus, nginx, wrk and curl.
    Accept,
    /// Python, nginx, runc, ss and Chromium, for the tests with real servers.
    Servers,
    /// What the agent is measured against: tcplife, tcpstates, bpftrace, ss; and bpftool.
    Bench,
    /// Node.js, Chromium and a font, for pictures of the dashboards; no part of all.
    Screenshots,
}

const ALL: &[Part] = &[
    Part::Probes,
    Part::Vm,
    Part::Arm64,
    Part::Lint,
    Part::Prometheus,
    Part::Accept,
    Part::Servers,
    Part::Bench,
];

/// One thing a part consists of.
pub(crate) struct Need {
    /// What it is, in a few words.
    pub(crate) what: String,
    pub(crate) state: State,
}

pub(crate) enum State {
    /// It is there; where or which.
    Found(String),
    /// It is not there; how to get it, in order.
    Missing(Vec<Step>),
}

pub(crate) enum Step {
    /// Debian packages.
    Apt(&'static [&'static str]),
    /// A command that needs no root.
    Run(Command),
    /// What [`arm64::fetch`] puts into the cache.
    FetchArm64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these parts [default: all]
    parts: Vec<Part>,
}

/// `cargo xtask setup`.
pub(crate) fn main(args: &Args) -> Result<()> {
    let watch = Stopwatch::start();
    let parts = if args.parts.is_empty() {
        ALL
    } else {
        args.parts.as_slice()
    };
    ensure(parts)?;
    for need in needs::of(parts) {
        if let State::Found(where_) = need.state {
            println!("{:<24} {where_}", need.what);
        }
    }
    for arch in kernels_of(parts) {
        kernels::list(arch)?;
    }
    println!("ready in {watch}");
    Ok(())
}

/// Sees to it that the parts are there. Silent when they are. A kernel that
/// cannot be had is named, and left to the caller: the others can be tested on.
pub(crate) fn ensure(parts: &[Part]) -> Result<()> {
    let mut work = Work::default();
    for need in needs::of(parts) {
        if let State::Missing(steps) = need.state {
            work.add(need.what, steps);
        }
    }
    if !work.missing.is_empty() {
        println!("setup: missing {}", work.missing.join(", "));
        work.refuse_if_not_permitted()?;
        work.perform()?;
        refuse_if_incomplete(parts)?;
    }
    for arch in kernels_of(parts) {
        kernels::fetch_missing(arch)?;
    }
    Ok(())
}

/// The processors whose kernels belong to some parts.
fn kernels_of(parts: &[Part]) -> Vec<Arch> {
    let mut archs = Vec::new();
    if parts.contains(&Part::Vm) {
        archs.extend(Arch::host());
    }
    if parts.contains(&Part::Arm64) && !archs.contains(&Arch::Arm64) {
        archs.push(Arch::Arm64);
    }
    archs
}

fn refuse_if_incomplete(parts: &[Part]) -> Result<()> {
    let left: Vec<String> = needs::of(parts)
        .into_iter()
        .filter(|need| matches!(need.state, State::Missing(_)))
        .map(|need| need.what)
        .collect();
    if !left.is_empty() {
        bail!("installed all of it, yet did not find {}", left.join(", "));
    }
    Ok(())
}

/// The steps of all missing things, joined by kind.
#[derive(Default)]
struct Work {
    missing: Vec<String>,
    packages: Vec<&'static str>,
    commands: Vec<Command>,
    fetches_arm64: bool,
}

impl Work {
    fn add(&mut self, what: String, steps: Vec<Step>) {
        self.missing.push(what);
        for step in steps {
            match step {
                Step::Apt(names) => {
                    for name in names {
                        if !self.packages.contains(name) {
                            self.packages.push(name);
                        }
                    }
                }
                Step::Run(command) => {
                    let line = command::line(&command);
                    if !self.commands.iter().any(|it| command::line(it) == line) {
                        self.commands.push(command);
                    }
                }
                Step::FetchArm64 => self.fetches_arm64 = true,
            }
        }
    }

    fn refuse_if_not_permitted(&self) -> Result<()> {
        let has_apt = command::find("apt-get").is_some();
        let may_install = self.packages.is_empty() || (has_apt && Uid::effective().is_root());
        if may_install {
            return Ok(());
        }
        let mut lines = Vec::new();
        if !self.packages.is_empty() {
            lines.push(format!(
                "sudo apt-get install --no-install-recommends {}",
                self.packages.join(" ")
            ));
        }
        lines.extend(self.commands.iter().map(command::line));
        lines.push("cargo xtask setup".to_owned());
        let why = if has_apt {
            "this user may not install packages"
        } else {
            "this machine has no apt; on another distribution take the packages of the same purpose"
        };
        bail!("{why}. Run:\n  {}", lines.join("\n  "));
    }

    fn perform(mut self) -> Result<()> {
        if !self.packages.is_empty() {
            println!("setup: apt-get install {}", self.packages.join(" "));
            // A third party's source that does not answer must not stop the
            // installation of a Debian package: the next step tells.
            if let Err(error) = command::output(Command::new("apt-get").args(["update", "-q"])) {
                println!("setup: {error:#}");
            }
            let _no_services = services::keep_stopped()?;
            command::run(
                Command::new("apt-get")
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .args(["install", "-y", "-q", "--no-install-recommends"])
                    .args(&self.packages),
            )?;
        }
        for step in &mut self.commands {
            println!("setup: {}", command::line(step));
            command::run(step)?;
        }
        if self.fetches_arm64 {
            arm64::fetch()?;
        }
        Ok(())
    }
}
