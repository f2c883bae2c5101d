//! Time that a connection spent in each phase, in as few bytes as can be.

use std::time::Duration;

use crate::classify::Phase;

/// Time in each phase, in the order of [`Phase::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases([u64; Phase::ALL.len()]);

impl Phases {
    /// In nanoseconds, which no time takes as many of.
    const NONE: u64 = u64::MAX;

    /// In no phase.
    pub(super) const fn none() -> Self {
        Self([Self::NONE; Phase::ALL.len()])
    }

    pub(super) fn add(&mut self, phase: Phase, time: Duration) {
        if let Some(sum) = self.0.get_mut(phase as usize) {
            let before = if *sum == Self::NONE { 0 } else { *sum };
            let time = u64::try_from(time.as_nanos()).unwrap_or(Self::NONE);
            *sum = before.saturating_add(time).min(Self::NONE - 1);
        }
    }

    /// Each time; `None` where it was not in that phase.
    pub fn times(&self) -> [Option<Duration>; Phase::ALL.len()] {
        let time = |nanos: u64| (nanos != Self::NONE).then(|| Duration::from_nanos(nanos));
        self.0.map(time)
    }
}
