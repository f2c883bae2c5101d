//! The tests with real servers, and with a real browser: Python, nginx, a container and Chromium, on
//! this machine's own kernel.
//! Takes root and what setup finds, gives sums and a line; where they cannot run, that is a line
//! and counts as skipped.

use std::fs;

use anyhow::{Context as _, Result};
use nix::unistd::Uid;

use super::{Sum, counted};
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::{artifacts, command, place};

/// Runs them; says whether all was well.
pub(super) fn run(sum: &mut Sum, lines: &mut Vec<String>) -> Result<bool> {
    let mut skip = |why: String| {
        lines.push(format!("tests with real servers: skipped, {why}"));
        sum.skipped += 1;
        Ok(true)
    };
    if !Uid::effective().is_root() {
        return skip("they need root".to_owned());
    }
    if let Err(error) = setup::ensure(&[Part::Servers]) {
        return skip(format!("{error:#}"));
    }
    let watch = Stopwatch::start();
    let folder = place::target().join("servers");
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let mut cargo = command::cargo();
    cargo
        .args([
            "test",
            "--release",
            "--package",
            "xtask",
            "--test",
            "servers",
        ])
        .current_dir(place::repository())
        .env("TCP_OBSERVER_BIN", artifacts::agent()?)
        .env("SERVER_TEST_FOLDER", folder);
    let is_good = counted(&mut cargo, sum)?;
    lines.push(format!("tests with real servers took {watch}"));
    Ok(is_good)
}
