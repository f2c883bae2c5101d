//! Builds, tests and measures tcp-observer: `cargo xtask --help`.
//! Takes a command, sets up what it needs, gives its outcome as exit status.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask speaks to a person at a terminal"
)]

mod accept;
mod arch;
mod artifacts;
mod ci;
mod command;
mod dashboards;
mod matrix;
mod place;
mod run;
mod setup;
mod stopwatch;
mod test;
mod tidy;
mod vm;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Result, bail, ensure};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::setup::Part;

/// Builds, tests and measures tcp-observer.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Finds or installs what a machine needs to build and test
    Setup(setup::Args),
    /// Makes connections end in every way, and shows what the agent says of them
    Demo,
    /// Makes 200,000 connections as fast as it can, three times, and checks what the agent says
    Load {
        #[command(subcommand)]
        what: Option<Load>,
    },
    /// Measures what the agent costs, beside other tools; tables in target/bench
    Bench(Bench),
    /// The load of a measurement
    #[command(hide = true)]
    BenchLoad(xtask::bench::Load),
    /// What a measurement does inside a guest
    #[command(hide = true)]
    BenchGuest(xtask::bench::guest::Args),
    /// Runs the agent under a real Prometheus with the alerts and dashboards that ship, and
    /// checks what they show
    E2e(End2End),
    /// Builds the agent and runs it
    Run(run::Args),
    /// Runs every test: unit tests, then real sockets on real kernels
    Test(test::Args),
    /// Runs exactly what continuous integration runs
    Ci,
    /// Holds the agent against programs of others
    #[command(subcommand)]
    Accept(accept::Acceptance),
    /// Checks the rules of the repository
    Tidy,
    /// Checks the dashboards, recording rules and alerts
    Dashboards {
        #[command(subcommand)]
        action: Option<dashboards::Action>,
    },
    /// Runs the kernel tests on every kernel, each in a VM
    Vm(vm::Args),
}

/// Rounds behind a figure in README.
const LEAST_ROUNDS: u32 = 7;

#[derive(Debug, clap::Args)]
struct Bench {
    /// Only these parts [default: all]
    parts: Vec<xtask::bench::Part>,
    /// Rounds of all watchers in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads that make the connections; a core that they leave is the watchers'
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=249))]
    threads: u32,
    /// Connections of one run
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    connections: u64,
    /// Seconds of the highest churn with the agent
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Write the tables into README, if every guard holds; takes 7 rounds at least
    #[arg(long)]
    readme: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct End2End {
    /// Keep the agent, Prometheus and the connections running after the checks, until Ctrl-C
    #[arg(long)]
    hold: bool,
}

/// Another load.
#[derive(Debug, Subcommand)]
enum Load {
    /// Ends connections in every way that needs no waiting, in random order, and checks each
    /// verdict and the audit
    Mixed(xtask::load::Mixed),
    /// 100,000 sockets in CLOSE_WAIT and 200,000 in TIME_WAIT, and what a census finds of them
    Leaks,
    /// 50,000 connections within a minute, each of a process and to a destination of its own, and
    /// how many series they make
    Owners,
}

fn main() -> ExitCode {
    match perform(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup(args) => setup::main(&args),
        Task::Demo => demo(),
        Task::Load { what } => load(what.as_ref()),
        Task::Bench(args) => bench(args),
        Task::BenchLoad(args) => xtask::bench::load(&args),
        Task::BenchGuest(args) => xtask::bench::guest::run(&args),
        Task::E2e(args) => e2e(args),
        Task::Run(args) => run::main(&args),
        Task::Test(args) => test::main(&args),
        Task::Ci => ci::main(),
        Task::Accept(acceptance) => accept::main(acceptance),
        Task::Tidy => tidy::main(),
        Task::Dashboards { action } => dashboards::main(action),
        Task::Vm(args) => vm::main(&args),
    }
}

fn demo() -> Result<()> {
    setup::ensure(&[Part::Probes])?;
    xtask::demo::run(&artifacts::agent()?)
}

fn load(what: Option<&Load>) -> Result<()> {
    setup::ensure(&[Part::Probes])?;
    let agent = artifacts::agent()?;
    match what {
        None => xtask::load::run(&agent),
        Some(Load::Mixed(mixed)) => xtask::load::run_mixed(&agent, mixed),
        Some(Load::Leaks) => xtask::load::run_leaks(&agent),
        Some(Load::Owners) => xtask::load::run_owners(&agent),
    }
}

fn bench(args: Bench) -> Result<()> {
    if args.readme && args.rounds < LEAST_ROUNDS {
        bail!("--readme takes --rounds {LEAST_ROUNDS} at least: quartiles of fewer say little");
    }
    setup::ensure(&[Part::Probes])?;
    // The rows of a program that cannot be had say so.
    if let Err(error) = setup::ensure(&[Part::Bench]) {
        println!("setup: {error:#}");
    }
    let wants = |part| args.parts.is_empty() || args.parts.contains(&part);
    let shapes = wants(xtask::bench::Part::Shapes);
    let shapes = shapes.then(artifacts::shapes).transpose()?;
    let pipeline = wants(xtask::bench::Part::Pipeline);
    let pipeline = pipeline.then(artifacts::pipeline).transpose()?;
    let options = xtask::bench::Options {
        parts: args.parts,
        shapes,
        pipeline,
        rounds: args.rounds,
        threads: args.threads,
        connections: args.connections,
        seconds: args.seconds,
        tools: xtask::bench::Tools {
            tcplife: command::find("tcplife"),
            tcpstates: command::find("tcpstates"),
            bpftrace: command::find("bpftrace"),
            bpftool: command::find("bpftool"),
            ss: command::find("ss"),
        },
        boot: Some(vm::measuring),
    };
    let folder = place::target().join("bench");
    let tables = xtask::bench::run(&artifacts::shipped_agent()?, &options, &folder)?;
    if args.readme {
        xtask::bench::write_readme(&place::repository().join("README.md"), &tables)?;
    }
    Ok(())
}

fn e2e(args: End2End) -> Result<()> {
    setup::ensure(&[Part::Probes, Part::Prometheus])?;
    let dashboards = place::repository().join("dashboards");
    let agent = artifacts::agent()?;
    let score = if args.hold {
        xtask::e2e::run_while(&agent, &dashboards, hold)?
    } else {
        xtask::e2e::run(&agent, &dashboards)?
    };
    ensure!(score.failed == 0, "{} checks failed", score.failed);
    Ok(())
}

fn hold(prometheus: SocketAddr) -> Result<()> {
    let (tell, told) = mpsc::channel();
    // Nobody listens any more when it comes twice.
    ctrlc::set_handler(move || tell.send(()).unwrap_or_default())?;
    println!("Prometheus stays at http://{prometheus} until Ctrl-C");
    Ok(told.recv()?)
}

/// The names of all commands.
pub(crate) fn commands() -> BTreeSet<String> {
    Arguments::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
