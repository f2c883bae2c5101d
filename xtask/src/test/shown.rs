//! The dashboards, recording rules and alerts.
//! Takes what `cargo xtask dashboards` checks, gives sums and a line; each check counts as a
//! test. Where promtool cannot be had, that is a line and counts as skipped: what needs it not
//! is a unit test too.

use anyhow::Result;

use super::Sum;
use crate::dashboards;
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;

/// Runs them; says whether all was well.
pub(super) fn run(sum: &mut Sum, lines: &mut Vec<String>) -> Result<bool> {
    if let Err(error) = setup::ensure(&[Part::Prometheus]) {
        lines.push(format!("checks of the dashboards: skipped, {error:#}"));
        sum.skipped += 1;
        return Ok(true);
    }
    let watch = Stopwatch::start();
    let all = dashboards::all()?;
    for checked in &all {
        checked.show();
    }
    let good = all.iter().filter(|checked| checked.is_good()).count();
    sum.passed += good;
    sum.failed += all.len() - good;
    lines.push(format!("checks of the dashboards took {watch}"));
    Ok(good == all.len())
}
