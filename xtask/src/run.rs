//! Builds the agent and becomes it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::artifacts;
use crate::setup::{self, Part};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments of the agent [default: run]
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// `cargo xtask run`. The agent takes the place of this process, so that signals
/// and the exit status are its own.
pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Part::Probes])?;
    let agent = artifacts::agent()?;
    let mut command = Command::new(&agent);
    if args.arguments.is_empty() {
        command.arg("run");
    } else {
        command.args(&args.arguments);
    }
    Err(command.exec()).with_context(|| format!("could not start {}", agent.display()))
}
