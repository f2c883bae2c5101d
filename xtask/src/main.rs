//! Builds, tests and measures tcp-observer: `cargo xtask --help`.
//! Takes a command, sets up what it needs, gives its outcome as exit status.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask speaks to a person at a terminal"
)]

mod artifacts;
mod command;
mod place;
mod setup;
mod stopwatch;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
        Task::Vm(args) => vm::main(&args),
    }
}
