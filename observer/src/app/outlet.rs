//! Where lines of ended connections go, and which do.

use crate::classify::Verdict;
use crate::settings::Filter;
use crate::sink::lines::Lines;
use crate::track::Closed;

/// Where lines go, and which.
#[derive(Debug)]
pub struct Outlet {
    /// The writer.
    pub lines: Lines,
    /// Which verdicts become lines.
    pub filter: Filter,
    /// Lines still wanted; `None`: without end.
    pub remaining: Option<u64>,
}

impl Outlet {
    /// Hands a verdict on, with its evidence, if it is wanted.
    pub(super) fn offer(&mut self, verdict: Verdict, closed: &Closed) {
        if self.remaining == Some(0) || !self.filter.accepts(&verdict) {
            return;
        }
        let verdict = verdict.with_evidence(closed);
        let accepted = self.lines.offer(Box::new(verdict));
        if let Some(remaining) = &mut self.remaining {
            *remaining -= u64::from(accepted);
        }
    }

    /// Whether no more lines are wanted.
    pub(super) fn is_sated(&self) -> bool {
        self.remaining == Some(0)
    }
}
