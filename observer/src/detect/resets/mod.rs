//! Resets of the last minute that tell of something to mend.
//!
//! Takes what happened lately; gives requests that servers may have lost by closing idle
//! connections ([`Race`]), services whose connections mostly end with a reset ([`Storm`]), and
//! connections that a closing listener reset ([`KilledInQueue`]).

mod killed;

mod race;

mod storm;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Findings, Lately, Matter};

pub use killed::KilledInQueue;
pub use race::Race;
pub use storm::Storm;

/// Over which resets are counted.
const OVER: Duration = Duration::from_mins(1);

/// Processes named.
const MOST_NAMED: usize = 10;

/// Everything that is the matter now.
pub fn resets(lately: &Lately, told: &Findings) -> Vec<Matter> {
    let mut matters = race::look(lately, told);
    matters.extend(storm::look(lately, told));
    matters.extend(killed::look(lately));
    matters
}

/// The largest counts first.
pub(super) fn largest<T: Ord>(counts: BTreeMap<T, u64>, most: usize) -> Vec<(T, u64)> {
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.truncate(most);
    counts
}
