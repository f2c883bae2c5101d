//! The agent under a real Prometheus, with the rules, alerts and dashboards that ship.
//! Takes root and what setup finds, gives sums and a line; where it cannot run, that is a line
//! and counts as skipped.

use anyhow::Result;
use nix::unistd::Uid;

use super::Sum;
use crate::accept::{self, Acceptance};
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::{artifacts, place};

/// Runs it; says whether all was well.
pub(super) fn run(sum: &mut Sum, lines: &mut Vec<String>) -> Result<bool> {
    let mut skip = |why: String| {
        lines.push(format!("checks under a real Prometheus: skipped, {why}"));
        sum.skipped += 1;
        Ok(true)
    };
    if !Uid::effective().is_root() {
        return skip("they need root".to_owned());
    }
    if let Err(error) = setup::ensure(&[Part::Prometheus, Part::Accept]) {
        return skip(format!("{error:#}"));
    }
    let watch = Stopwatch::start();
    let dashboards = place::repository().join("dashboards");
    let score = match xtask::e2e::run(&artifacts::agent()?, &dashboards) {
        Ok(score) => score,
        Err(error) => {
            println!("the checks under a real Prometheus stopped: {error:#}");
            sum.failed += 1;
            return Ok(false);
        }
    };
    sum.passed += score.passed;
    sum.failed += score.failed;
    let secured = accept::main(Acceptance::Web);
    match &secured {
        Ok(()) => sum.passed += 1,
        Err(error) => {
            println!("the same with TLS and a password failed: {error:#}");
            sum.failed += 1;
        }
    }
    lines.push(format!("checks under a real Prometheus took {watch}"));
    Ok(score.failed == 0 && secured.is_ok())
}
