//! Programs of others that serve or use TCP, well or badly, and a browser.
//!
//! Takes the network namespace of the calling thread; gives running programs, which end when
//! they are dropped. Never judges.

pub mod browser;
pub mod container;
pub mod nginx;
pub mod program;
pub mod python;

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Where a program is: in `PATH`, or where administration programs live.
fn find(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("found no {program}; `cargo xtask setup` installs it"))
}
