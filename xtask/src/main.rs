//! Builds, tests and measures tcp-observer: `cargo xtask --help`.
//! Takes a command, sets up what it needs, gives its outcome as exit status.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask speaks to a person at a terminal"
)]

mod accept;
mod artifacts;
mod ci;
mod command;
mod place;
mod run;
mod setup;
mod stopwatch;
mod test;
mod tidy;
mod vm;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
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
    Load,
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
    /// Runs the kernel tests on every kernel, each in a VM
    Vm(vm::Args),
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
        Task::Load => load(),
        Task::Run(args) => run::main(&args),
        Task::Test(args) => test::main(&args),
        Task::Ci => ci::main(),
        Task::Accept(acceptance) => accept::main(acceptance),
        Task::Tidy => tidy::main(),
        Task::Vm(args) => vm::main(&args),
    }
}

fn demo() -> Result<()> {
    setup::ensure(&[Part::Probes])?;
    xtask::demo::run(&artifacts::agent()?)
}

fn load() -> Result<()> {
    setup::ensure(&[Part::Probes])?;
    xtask::load::run(&artifacts::agent()?)
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
