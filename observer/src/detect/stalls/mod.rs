//! Connections that hang in the middle of their close, other than in CLOSE_WAIT.
//!
//! Takes each census with what the tracker knew just before it; gives what waits for too long
//! and for what: a FIN of the peer for which nothing bounds the wait ([`HalfClosed`]), or an
//! acknowledgement of what this end sent ([`Undrained`]). Tells too who left the orphans of
//! the host behind ([`OrphanPressure`]).

mod half_closed;

mod orphans;

mod stuck;

mod undrained;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::resets::largest;
use super::{Findings, Matter};
use crate::census::{Census, Holders};
use crate::track::Standing;

pub use half_closed::HalfClosed;
pub use orphans::OrphanPressure;
pub use stuck::Stuck;
pub use undrained::Undrained;

use stuck::{Follower, Wait};

/// Follows such connections from census to census.
#[derive(Debug)]
pub struct Stalls {
    after: Duration,
    half_closed: Follower,
    undrained: Follower,
    /// Of the last census.
    waiting: Vec<Stuck>,
    pressure: Option<OrphanPressure>,
}

impl Stalls {
    /// What hangs counts from this age on.
    pub fn new(after: Duration) -> Self {
        Self {
            after,
            half_closed: Follower::new(Wait::PeersFin),
            undrained: Follower::new(Wait::Acknowledgement),
            waiting: Vec::new(),
            pressure: None,
        }
    }

    /// Takes a census and what the tracker knew just before it.
    pub fn look(&mut self, census: &Census, standing: &[Standing]) {
        self.waiting = self.half_closed.look(census, standing);
        self.waiting.extend(self.undrained.look(census, standing));
        self.pressure = OrphanPressure::new(census, &self.waiting);
        let after = self.after;
        self.waiting
            .retain(|it| it.is_matter() && it.quiet >= after);
    }

    /// The inodes of sockets whose holders matter.
    pub fn inodes(&self) -> impl Iterator<Item = u32> {
        let held = self.waiting.iter().filter(|it| it.wait == Wait::PeersFin);
        held.map(|it| it.seen.inode)
    }

    /// Everything that is the matter now.
    pub fn matters(&mut self, holders: &Holders, told: &Findings) -> Vec<Matter> {
        let mut waiting = std::mem::take(&mut self.waiting);
        for stuck in &mut waiting {
            self.half_closed.own(stuck, holders);
        }
        let (half, undrained) = waiting
            .into_iter()
            .partition(|it| it.wait == Wait::PeersFin);
        let half = half_closed::group(half, holders);
        let undrained = undrained::group(undrained, told);
        let pressure = self.pressure.take().filter(|it| it.is_high(told));
        let mut matters: Vec<Matter> = half.into_iter().map(Matter::FinWait2Stall).collect();
        matters.extend(undrained.into_iter().map(Matter::ClosingStall));
        matters.extend(pressure.map(Matter::OrphanPressure));
        matters
    }
}

/// How often each is there, the most frequent first.
fn most_frequent<T: Ord>(all: impl IntoIterator<Item = T>, most: usize) -> Vec<(T, u64)> {
    let mut counts: BTreeMap<T, u64> = BTreeMap::new();
    for it in all {
        *counts.entry(it).or_default() += 1;
    }
    largest(counts, most)
}
