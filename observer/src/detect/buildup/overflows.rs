//! TIME_WAIT that the kernel left out, by its own counter.
//!
//! Not every probe shows it, and the counter is exact.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::census::Census;
use crate::event::Timestamp;

/// Over which it is told.
const OVER: Duration = Duration::from_mins(5);

/// The counters of the last censuses.
#[derive(Debug, Default)]
pub(super) struct Overflows {
    /// Of each network namespace, oldest first. The first one is what came before.
    counted: BTreeMap<u32, VecDeque<(Timestamp, u64)>>,
    /// All that were left out since the first look.
    pub(super) all: u64,
}

impl Overflows {
    /// How many were left out of late in each network namespace.
    pub(super) fn look(&mut self, census: &Census) -> BTreeMap<u32, u64> {
        let mut before = std::mem::take(&mut self.counted);
        let failed = |netns: &u32| census.failed.contains(netns);
        self.counted
            .extend(before.extract_if(.., |netns, _| failed(netns)));
        let mut left_out = BTreeMap::new();
        for (netns, looked) in &census.namespaces {
            let Some(count) = looked.overflows else {
                continue;
            };
            let mut counted = before.remove(netns).unwrap_or_default();
            let last = counted.back().map_or(count, |(_, count)| *count);
            if last > count {
                // Another namespace has got its number.
                counted.clear();
            }
            self.all += count.saturating_sub(last);
            counted.push_back((looked.from, count));
            let is_old = |(at, _): &(Timestamp, u64)| looked.from.since(*at) >= OVER;
            while counted.get(1).is_some_and(is_old) {
                counted.pop_front();
            }
            let first = counted.front().map_or(count, |(_, count)| *count);
            left_out.insert(*netns, count - first);
            self.counted.insert(*netns, counted);
        }
        left_out
    }
}
