//! How much of a CPU the agent may take, and what it leaves out above that.
//!
//! Takes the time and how long the event loop has been on a CPU; gives a [`Level`], and how long to
//! rest. The census has a part of the budget for itself, as nothing that is left out makes it
//! cheaper. Pure: it reads no clock.

use std::time::Duration;

use crate::event::Timestamp;

/// Between two judgements.
const LOOK: Duration = Duration::from_secs(1);

/// What may be used ahead of time: that of so many seconds.
const BURST: f64 = 10.0;

/// Judgements between two that leave out more, so that the first can show what it saves.
const PATIENCE: u32 = 5;

/// Judgements in a row that find at most half of the burst used before something comes back.
const CALM: u32 = 10;

/// What the census takes of one CPU where nobody sets a budget.
const CENSUS: f64 = 0.02;

/// What the census may take of one CPU: at most half of the budget.
pub fn of_census(budget: Option<f64>) -> f64 {
    budget.map_or(CENSUS, |budget| CENSUS.min(budget / 2.0))
}

/// What is left out, each level more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Nothing,
    /// What happened in the course of a connection, step by step.
    Timelines,
    /// How connections come to be: who opened them, when, and which side this host was.
    Births,
    /// Whatever finds no room while the agent rests; it is counted as lost.
    Events,
}

impl Level {
    /// What there is to leave out, in this order.
    pub const ALL: [Self; 3] = [Self::Timelines, Self::Births, Self::Events];

    /// For metrics and JSON; of [`Level::Nothing`], nothing.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Timelines => "timelines",
            Self::Births => "births",
            Self::Events => "events",
        }
    }

    const fn more(self) -> Self {
        match self {
            Self::Nothing => Self::Timelines,
            Self::Timelines => Self::Births,
            Self::Births | Self::Events => Self::Events,
        }
    }

    const fn less(self) -> Self {
        match self {
            Self::Events => Self::Births,
            Self::Births => Self::Timelines,
            Self::Timelines | Self::Nothing => Self::Nothing,
        }
    }
}

/// A share of one CPU, and what it takes to keep to it.
#[derive(Clone, Debug)]
pub struct Budget {
    share: f64,
    level: Level,
    /// The last judgement, and what the process had used by then.
    since: Option<(Timestamp, Duration)>,
    /// Seconds of a CPU that were used ahead of time.
    ahead: f64,
    /// Judgements since the level last changed.
    waited: u32,
    calm: u32,
}

impl Budget {
    /// Of one CPU, above 0; the events have what it leaves when the census has its part.
    pub fn new(budget: f64) -> Self {
        Self {
            share: budget - of_census(Some(budget)),
            level: Level::Nothing,
            since: None,
            ahead: 0.0,
            waited: PATIENCE,
            calm: 0,
        }
    }

    /// What is left out now.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Judges once a second; gives the new level when it changes. `used` is what the event loop has
    /// been on a CPU since it started.
    pub fn look(&mut self, now: Timestamp, used: Duration) -> Option<Level> {
        let (since, _) = *self.since.get_or_insert((now, used));
        if now.since(since) < LOOK {
            return None;
        }
        // Twice the burst is forgiven: what was used cannot be given back.
        let most = 2.0 * BURST * self.share;
        self.ahead = self.ahead_at(now, used).clamp(0.0, most);
        self.since = Some((now, used));
        let level = self.judge();
        if level == self.level {
            return None;
        }
        self.level = level;
        (self.waited, self.calm) = (0, 0);
        Some(level)
    }

    fn ahead_at(&self, now: Timestamp, used: Duration) -> f64 {
        let Some((since, before)) = self.since else {
            return 0.0;
        };
        let more = used.saturating_sub(before).as_secs_f64();
        self.ahead + more - now.since(since).as_secs_f64() * self.share
    }

    fn judge(&mut self) -> Level {
        self.waited = self.waited.saturating_add(1);
        let calm = self.ahead <= BURST * self.share / 2.0;
        self.calm = if calm { self.calm + 1 } else { 0 };
        if self.ahead > BURST * self.share && self.waited > PATIENCE {
            self.level.more()
        } else if self.calm >= CALM {
            self.level.less()
        } else {
            self.level
        }
    }

    /// How long to rest now, where there is nothing else to leave out: until no more is used ahead
    /// of time than may be, a second at most.
    pub fn rest(&self, now: Timestamp, used: Duration) -> Duration {
        if self.level != Level::Events {
            return Duration::ZERO;
        }
        let beyond = self.ahead_at(now, used) - BURST * self.share;
        let rest = (beyond / self.share).clamp(0.0, LOOK.as_secs_f64());
        Duration::try_from_secs_f64(rest).unwrap_or(LOOK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: f64 = 0.07;
    /// What is left for events.
    const SHARE: f64 = 0.05;

    fn at(second: usize) -> Timestamp {
        Timestamp(second as u64 * 1_000_000_000)
    }

    /// Seconds of each of which so much of a CPU is used; the level after each.
    fn levels(shares: impl IntoIterator<Item = f64>) -> Vec<Level> {
        let (mut budget, mut used) = (Budget::new(BUDGET), Duration::ZERO);
        assert_eq!(budget.look(at(0), used), None);
        let each = shares.into_iter().enumerate().map(|(second, share)| {
            used += Duration::from_secs_f64(share);
            let before = budget.level();
            let changed = budget.look(at(second + 1), used);
            assert_eq!(
                changed,
                (before != budget.level()).then_some(budget.level())
            );
            budget.level()
        });
        each.collect()
    }

    /// Each level and after how many seconds it begins.
    fn changes(levels: &[Level]) -> Vec<(usize, Level)> {
        let mut last = Level::Nothing;
        let mut changes = Vec::new();
        for (second, level) in levels.iter().enumerate() {
            if *level != last {
                changes.push((second + 1, *level));
                last = *level;
            }
        }
        changes
    }

    #[test]
    fn too_much_for_long_leaves_out_one_thing_after_the_other() {
        let told = levels([2.1 * SHARE; 60]);
        let expected = [
            (10, Level::Timelines),
            (16, Level::Births),
            (22, Level::Events),
        ];
        assert_eq!(changes(&told), expected);
    }

    #[test]
    fn bursts_within_the_budget_leave_nothing_out() {
        let burst = |second: usize| {
            if second.is_multiple_of(15) {
                10.0 * SHARE
            } else {
                0.1 * SHARE
            }
        };
        let told = levels((0..300).map(burst));
        assert_eq!(changes(&told), []);
    }

    #[test]
    fn what_was_left_out_comes_back_though_most_of_the_budget_is_used() {
        let load = |second: usize| match second {
            0..12 => 2.1 * SHARE,
            _ if second.is_multiple_of(9) => 3.0 * SHARE,
            _ => 0.5 * SHARE,
        };
        let told = changes(&levels((0..200).map(load)));
        assert_eq!(told.first(), Some(&(10, Level::Timelines)));
        assert_eq!(told.last().map(|it| it.1), Some(Level::Nothing));
    }

    #[test]
    fn it_rests_only_where_nothing_else_is_left_and_no_longer_than_it_must() {
        let mut budget = Budget::new(0.12);
        let used = |milliseconds| Duration::from_millis(milliseconds);
        assert_eq!(budget.look(at(0), used(0)), None);
        budget.level = Level::Births;
        assert_eq!(budget.rest(at(0), used(5000)), Duration::ZERO);
        budget.level = Level::Events;
        assert_eq!(budget.rest(at(0), used(1000)), Duration::ZERO);
        assert_eq!(budget.rest(at(0), used(1050)), Duration::from_millis(500));
        assert_eq!(budget.rest(at(0), used(9000)), LOOK);
    }
}
