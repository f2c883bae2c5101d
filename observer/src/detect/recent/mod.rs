//! What happened between two censuses, counted.
//!
//! Takes each verdict; gives how often what happened, by network namespace, process and
//! service. A census asks for the counts whole and leaves none. It is bounded, and
//! counting takes one look into a hash map for each thing that happened.

mod happening;

mod lately;

pub(super) mod reset;

use hashbrown::HashMap;

use super::Service;
use crate::classify::Verdict;
use crate::event::Comm;

pub use happening::Happening;
pub use lately::Lately;

/// Counts of their own; what comes once they are taken is counted without its remote service, ...
const MOST: usize = 4096;

/// ... and in so many more at most.
const MOST_COARSE: usize = 256;

/// What is counted as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct What {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// What happened.
    pub happening: Happening,
    /// The name of the process that did it; `None` if that was not seen.
    pub comm: Option<Comm>,
    /// What the connections were for; `None` if their birth was not seen.
    pub service: Option<Service>,
}

/// Counts since they were taken last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    counts: HashMap<What, u64>,
    /// What found no room, in the order of [`Happening::ALL`].
    other: [u64; Happening::ALL.len()],
}

impl Recent {
    /// Counts what an ended connection tells.
    pub fn note(&mut self, verdict: &Verdict) {
        for happening in Happening::all_of(verdict) {
            let what = What {
                netns: verdict.netns,
                happening,
                comm: happening.by(verdict).map(|task| task.comm),
                service: happening::service(verdict),
            };
            self.count(what, 1);
        }
    }

    /// All counts; none are left.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// How often it happened.
    pub fn get(&self, what: &What) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// How often this happened beyond what there was room for.
    pub fn other(&self, happening: Happening) -> u64 {
        self.other
            .get(happening as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Everything of this kind that was counted on its own, in no order.
    pub fn all(&self, happening: Happening) -> impl Iterator<Item = (&What, u64)> {
        let all = self.counts.iter().map(|(what, count)| (what, *count));
        all.filter(move |(what, _)| what.happening == happening)
    }

    fn count(&mut self, mut what: What, times: u64) {
        let mut most = MOST;
        if self.counts.len() >= MOST && !self.counts.contains_key(&what) {
            if let Some(Service::Remote(_)) = what.service {
                what.service = Some(Service::ManyRemotes);
            }
            most += MOST_COARSE;
        }
        if self.counts.len() < most || self.counts.contains_key(&what) {
            *self.counts.entry(what).or_default() += times;
        } else if let Some(other) = self.other.get_mut(what.happening as usize) {
            *other += times;
        }
    }

    /// Adds what was counted later.
    fn add(&mut self, later: Self) {
        for (other, more) in self.other.iter_mut().zip(later.other) {
            *other += more;
        }
        let counts = later.counts.into_iter();
        counts.for_each(|(what, times)| self.count(what, times));
    }
}

#[cfg(test)]
mod tests;
