//! What was observed, by the kernel time at which it happened.
//!
//! Takes single observations; gives sums up to a time. Bounded: what is older than
//! [`KEEP`] is kept as one sum.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Timestamp;

use super::Counter;

/// Times closer together than this are not told apart.
const SLOT: Duration = Duration::from_millis(100);

/// How far back sums can be asked for.
pub(super) const KEEP: Duration = Duration::from_mins(2);

/// A sum for each counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([u64; Counter::ALL.len()]);

/// Observations in slots of time.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// All that is older than the slots.
    before: Tally,
    recent: BTreeMap<u64, Tally>,
    /// The first slot that is not in `before`.
    first: u64,
}

impl Tally {
    pub(super) fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let mut grown = *self;
        for (sum, before) in grown.0.iter_mut().zip(before.0) {
            *sum = sum.saturating_sub(before);
        }
        grown
    }

    fn add(&mut self, counter: Counter, count: u64) {
        if let Some(sum) = self.0.get_mut(counter as usize) {
            *sum = sum.saturating_add(count);
        }
    }

    fn add_all(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }
}

impl Slots {
    /// Adds an observation. One that comes too late counts with the oldest.
    pub(super) fn add(&mut self, at: Timestamp, counter: Counter, count: u64) {
        let slot = number(at);
        if slot < self.first {
            self.before.add(counter, count);
        } else {
            self.recent.entry(slot).or_default().add(counter, count);
        }
    }

    /// All that certainly happened before `at`.
    pub(super) fn before(&self, at: Timestamp) -> Tally {
        self.sum(number(at))
    }

    /// All that may have happened until `at`.
    pub(super) fn until(&self, at: Timestamp) -> Tally {
        self.sum(number(at).saturating_add(1))
    }

    fn sum(&self, end: u64) -> Tally {
        let mut sum = self.before;
        for (_, tally) in self.recent.range(..end) {
            sum.add_all(tally);
        }
        sum
    }

    /// Forgets the times of what is older than [`KEEP`].
    pub(super) fn forget(&mut self, now: Timestamp) {
        let keep = u64::try_from(KEEP.as_nanos()).unwrap_or(u64::MAX);
        let first = number(Timestamp(now.0.saturating_sub(keep)));
        if first <= self.first {
            return;
        }
        let recent = self.recent.split_off(&first);
        for tally in self.recent.values() {
            self.before.add_all(tally);
        }
        (self.recent, self.first) = (recent, first);
    }
}

fn number(at: Timestamp) -> u64 {
    let slot = u64::try_from(SLOT.as_nanos()).unwrap_or(1).max(1);
    at.0 / slot
}
