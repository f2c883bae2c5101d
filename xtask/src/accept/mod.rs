//! The agent against real programs of others: what a release must pass.
//! Takes the agent as built, gives a printed judgement; traffic stays on
//! loopback, every step is bounded in time, and everything started is ended.

mod background;
mod counters;
mod nginx;
mod prometheus;
mod web;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::place;
use crate::setup::{self, Part};

#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum Acceptance {
    /// A real Prometheus scrapes the agent, and finds nothing to object to
    Prometheus(prometheus::Args),
    /// With TLS, client certificates and a password Prometheus scrapes, and nobody else does
    Web,
    /// Under nginx, wrk and curl the agent's records add up to the kernel's own counters
    Nginx,
}

/// `cargo xtask accept`.
pub(crate) fn main(acceptance: Acceptance) -> Result<()> {
    setup::ensure(&[Part::Probes, Part::Accept])?;
    match acceptance {
        Acceptance::Prometheus(args) => prometheus::main(args),
        Acceptance::Web => web::main(),
        Acceptance::Nginx => nginx::main(),
    }
}

/// A fresh folder for logs and data, kept afterwards to look at.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = place::target().join("accept").join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder)
}
