//! What is told to an operator, from when it is first true until it is over.
//!
//! Takes everything that is true at a census; keeps since when, and how fast it grows.

mod matter;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::census::Census;
use crate::event::Timestamp;

pub use matter::{Kind, Matter};

/// Over which growth is told.
const GROWTH_OVER: Duration = Duration::from_mins(5);

/// A matter that was told and is not over.
#[derive(Clone, Debug)]
pub struct Finding {
    /// When it was first told.
    pub raised_at: Timestamp,
    /// As it was at the last census.
    pub matter: Matter,
    /// Its amount at each census, oldest first.
    amounts: VecDeque<(Timestamp, usize)>,
}

/// What changed with a census.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Ids of new findings.
    pub raised: Vec<String>,
    /// What is over.
    pub cleared: Vec<(String, Finding)>,
}

/// Everything that is told now.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<String, Finding>);

impl Findings {
    /// Takes what is true at a census. What was found in a namespace that could not be looked into
    /// this time stands as it was.
    pub fn conclude(&mut self, matters: Vec<Matter>, census: &Census, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        let mut before = std::mem::take(&mut self.0);
        let unseen = |it: &Finding| match it.matter.netns() {
            Some(netns) => census.failed.contains(&netns),
            None => census.orphans().is_none(),
        };
        self.0.extend(before.extract_if(.., |_, it| unseen(it)));
        for matter in matters {
            let id = matter.id();
            let told = before.remove(&id).or_else(|| self.0.remove(&id));
            let finding = if let Some(finding) = told {
                finding.at(now, matter)
            } else {
                changes.raised.push(id.clone());
                Finding::new(now, matter)
            };
            self.0.insert(id, finding);
        }
        changes.cleared = before.into_iter().collect();
        changes
    }

    /// All of them, by id.
    pub fn all(&self) -> &BTreeMap<String, Finding> {
        &self.0
    }

    /// Whether this was told and is not over.
    pub fn is_raised(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }
}

impl Finding {
    fn new(now: Timestamp, matter: Matter) -> Self {
        Self {
            raised_at: now,
            amounts: [(now, matter.amount())].into(),
            matter,
        }
    }

    fn at(mut self, now: Timestamp, matter: Matter) -> Self {
        self.amounts.push_back((now, matter.amount()));
        // The last one that is older stays, so that there is always something to compare with.
        let old = |(at, _): &(Timestamp, usize)| now.since(*at) > GROWTH_OVER;
        while self.amounts.get(1).is_some_and(old) {
            self.amounts.pop_front();
        }
        self.matter = matter;
        self
    }

    /// What came, less what went, per minute; `None` before the second census.
    pub fn growth_per_minute(&self) -> Option<f64> {
        let (&(first, from), &(last, to)) = (self.amounts.front()?, self.amounts.back()?);
        let minutes = last.since(first).as_secs_f64() / 60.0;
        #[expect(
            clippy::cast_precision_loss,
            reason = "sockets are far fewer than 2^52"
        )]
        let grown = to as f64 - from as f64;
        (minutes > 0.0).then(|| grown / minutes)
    }
}

#[cfg(test)]
mod tests;
