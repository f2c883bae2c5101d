//! What happened in the last minutes. Pure and bounded.
//!
//! Takes the counts of each census; gives sums and rates over a time that ends with the last
//! one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Happening, Recent, What};
use crate::event::Timestamp;

/// How long counts are kept.
const KEPT: Duration = Duration::from_mins(5);

/// Counts of shorter times are joined, so that there are never more than a few.
const SLICE: Duration = Duration::from_secs(20);

/// A shorter time says nothing about a rate.
const LEAST: Duration = Duration::from_secs(1);

/// Counts of the last minutes.
#[derive(Debug)]
pub struct Lately {
    /// Oldest first; each begins where the one before it ends.
    pub(super) slices: VecDeque<Slice>,
    /// When the last one ended.
    until: Timestamp,
}

#[derive(Debug)]
pub(super) struct Slice {
    from: Timestamp,
    counts: Recent,
}

impl Lately {
    /// Nothing, from now on.
    pub fn new(now: Timestamp) -> Self {
        Self {
            slices: VecDeque::new(),
            until: now,
        }
    }

    /// Adds what was counted since it was called last.
    pub fn add(&mut self, now: Timestamp, counts: Recent) {
        let from = std::mem::replace(&mut self.until, now);
        let last = self.slices.back_mut();
        match last.filter(|slice| from.since(slice.from) < SLICE) {
            Some(slice) => slice.counts.add(counts),
            None => self.slices.push_back(Slice { from, counts }),
        }
        let is_over = |next: &Slice| now.since(next.from) >= KEPT;
        while self.slices.get(1).is_some_and(is_over) {
            self.slices.pop_front();
        }
    }

    /// How often what happened of this kind, over at least this time if the agent runs for as
    /// long, and little more.
    pub fn sums(&self, happening: Happening, over: Duration) -> BTreeMap<&What, u64> {
        let mut sums = BTreeMap::new();
        for slice in self.slices.range(self.first(over)..) {
            let all = slice.counts.all(happening);
            all.for_each(|(what, times)| *sums.entry(what).or_default() += times);
        }
        sums
    }

    /// How often it happened per minute, given a sum of [`Self::sums`] over the same time; `None`
    /// while that is too short to tell.
    pub fn per_minute(&self, sum: u64, over: Duration) -> Option<f64> {
        let from = self.slices.get(self.first(over))?.from;
        let time = self.until.since(from);
        #[expect(
            clippy::cast_precision_loss,
            reason = "connections are far fewer than 2^52"
        )]
        let sum = sum as f64;
        (time >= LEAST).then(|| sum * 60.0 / time.as_secs_f64())
    }

    /// The newest slice that began so long ago, else the oldest.
    fn first(&self, over: Duration) -> usize {
        let is_old = |slice: &Slice| self.until.since(slice.from) >= over;
        self.slices.iter().rposition(is_old).unwrap_or_default()
    }
}
