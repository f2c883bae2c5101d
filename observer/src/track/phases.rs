//! Time that a connection spent in each phase, in as few bytes as can be.
//!
//! Takes times; gives their sums. A connection goes through four phases at most, unless some of
//! what happened to it was not seen.

use std::time::Duration;

use smallvec::SmallVec;

use crate::classify::Phase;

/// Time in each phase that it was in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phases(SmallVec<[Spent; 4]>);

/// Nanoseconds in one phase: the lowest bits say in which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spent(u64);

impl Spent {
    const PHASE: u32 = 3;
    const MOST: u64 = u64::MAX >> Self::PHASE;

    const fn none(phase: Phase) -> Self {
        Self(phase as u64)
    }

    const fn phase(self) -> usize {
        (self.0 & ((1 << Self::PHASE) - 1)) as usize
    }

    const fn nanos(self) -> u64 {
        self.0 >> Self::PHASE
    }

    fn add(&mut self, time: Duration) {
        let more = u64::try_from(time.as_nanos()).unwrap_or(Self::MOST);
        let sum = self.nanos().saturating_add(more).min(Self::MOST);
        self.0 = (sum << Self::PHASE) | self.phase() as u64;
    }
}

const _: () = assert!(Phase::ALL.len() <= 1 << Spent::PHASE);

impl Phases {
    pub(super) fn add(&mut self, phase: Phase, time: Duration) {
        let known = self.0.iter_mut().find(|it| it.phase() == phase as usize);
        if let Some(spent) = known {
            return spent.add(time);
        }
        let mut spent = Spent::none(phase);
        spent.add(time);
        self.0.push(spent);
    }

    /// Each time, in the order of [`Phase::ALL`]; `None` where it was not in that phase.
    pub fn times(&self) -> [Option<Duration>; Phase::ALL.len()] {
        let mut times = [None; Phase::ALL.len()];
        for spent in &self.0 {
            if let Some(time) = times.get_mut(spent.phase()) {
                *time = Some(Duration::from_nanos(spent.nanos()));
            }
        }
        times
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Phases;
    use crate::classify::Phase;

    #[test]
    fn times_in_all_phases_add_up() {
        let mut phases = Phases::default();
        for round in 1..=2 {
            for (index, phase) in (1..).zip(Phase::ALL) {
                phases.add(phase, Duration::from_nanos(round * index));
            }
        }
        let expected = (1..=7).map(|index| Some(Duration::from_nanos(3 * index)));
        assert!(phases.times().into_iter().eq(expected));
        phases.clear();
        phases.add(Phase::Closing, Duration::ZERO);
        let mut expected = [None; Phase::ALL.len()];
        expected[Phase::Closing as usize] = Some(Duration::ZERO);
        assert_eq!(phases.times(), expected);
    }
}
