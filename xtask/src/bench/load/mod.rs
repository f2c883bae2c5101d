//! The load of a measurement: a process of its own, so that its clock is that of the load alone.
//!
//! The hidden command `bench-load` is that process; [`Churn`] and [`Held`] are its handles. It
//! works in a network namespace that it makes, does what a line on its standard input tells it,
//! and ends with it. Never goes on without a bound.

mod churn;
mod handle;
mod hold;

use std::io::{BufRead as _, Write as _};

use anyhow::{Result, ensure};

use crate::load::raise_file_limit;
use crate::scenario::net::Net;

pub(super) use churn::Made;
pub(super) use handle::{Churn, Held};

/// What the process does.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Load {
    /// Threads that make connections; each has a listener of its own
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Connections that are kept open
    #[arg(long, default_value_t = 0)]
    connections: u64,
    /// Make no more after so many seconds, each time
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Keep all connections
    #[arg(long)]
    hold: bool,
    /// Each client shuts down sending
    #[arg(long, requires = "hold")]
    half_closed: bool,
}

/// Runs the process.
pub fn run(load: &Load) -> Result<()> {
    ensure!(load.threads > 0, "no thread makes no connection");
    raise_file_limit()?;
    let net = Net::enter_plain()?;
    if load.hold {
        return hold::run(load);
    }
    let mut lanes = churn::prepare(load, &net)?;
    say("ready")?;
    // The namespace and its TIME_WAIT stay until the other side has counted.
    while let Some(connections) = told()? {
        let made = churn::run(&mut lanes, connections.parse()?, load.seconds)?;
        say(&serde_json::to_string(&made)?)?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Waits for a line; `None` if none comes any more.
fn told() -> Result<Option<String>> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}
