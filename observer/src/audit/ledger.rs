//! The books of one network namespace.
//!
//! Takes readings of its counters and what was observed in it; gives [`Line`]s once a
//! reading can be judged.
//!
//! The kernel counts and a probe stamps at almost, not exactly, the same time, and a reading
//! takes time. So what happened within [`MARGIN`] of a reading may or may not be in it: it
//! counts on the side that fits, and the rest is carried over to the next reading.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Timestamp;

use super::reading::{Counts, Reading};
use super::slots::{KEEP, Slots, Tally};
use super::table::Allowance;
use super::{Account, Counter, Facts, Line, Sum};

/// How far apart the kernel's count and the probe's stamp of one event may be.
const MARGIN: Duration = Duration::from_millis(100);

/// Readings that wait to be judged; more come only if nobody judges.
const MOST_WAITING: usize = 256;

/// The books of one namespace.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) name: String,
    pub(super) netns: u32,
    /// Its cookie, once a reading told it.
    cookie: Option<u64>,
    /// What was observed lately is not known: readings taken by now are of no use.
    fresh: bool,
    /// Why its counters cannot be read, if they cannot.
    pub(super) problem: Option<String>,
    pub(super) slots: Slots,
    waiting: VecDeque<Reading>,
    base: Option<Base>,
    last: Option<Judged>,
    /// Judgements in a row that left something unexplained, by counter.
    streaks: [u32; Counter::ALL.len()],
}

/// The reading that all else is compared to.
#[derive(Debug)]
struct Base {
    reading: Reading,
    observed: Window,
    of_nowhere: Window,
}

/// The sums that a reading may stand for.
#[derive(Clone, Copy, Debug)]
struct Window {
    certain: Tally,
    possible: Tally,
}

#[derive(Debug)]
struct Judged {
    reading: Reading,
    from: Timestamp,
    of_nowhere: Window,
    lines: Vec<Line>,
}

impl Ledger {
    pub(super) fn new(name: String, netns: u32) -> Self {
        Self {
            name,
            netns,
            cookie: None,
            fresh: false,
            problem: None,
            slots: Slots::default(),
            waiting: VecDeque::new(),
            base: None,
            last: None,
            streaks: [0; Counter::ALL.len()],
        }
    }

    /// Takes a reading; says whether it is of another namespace than before, so that the books
    /// start anew: what was counted and observed before means nothing any more. The inode number
    /// of a namespace that is gone is soon another's.
    pub(super) fn take(&mut self, reading: &Reading) -> bool {
        let recreated = self
            .cookie
            .zip(reading.cookie)
            .is_some_and(|(before, now)| before != now);
        let replaced = self.netns != reading.netns || recreated;
        if replaced {
            *self = Self::new(std::mem::take(&mut self.name), reading.netns);
            self.fresh = true;
        }
        self.cookie = reading.cookie.or(self.cookie);
        self.problem = None;
        if !self.fresh && self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(*reading);
        }
        replaced
    }

    /// What happens from here on is observed.
    pub(super) fn settle(&mut self) {
        self.fresh = false;
    }

    /// Judges the next reading that was taken at or before `ripe`. `None`: there is none.
    /// The first is only what the others are compared to.
    pub(super) fn judge(
        &mut self,
        facts: &Facts,
        of_nowhere: &Slots,
        ripe: Timestamp,
    ) -> Option<Vec<Line>> {
        let reading = *self.waiting.front().filter(|it| it.to <= ripe)?;
        self.waiting.pop_front();
        if ripe.since(reading.to) >= KEEP / 2 {
            // Too late: the times of what was observed then are forgotten.
            return Some(Vec::new());
        }
        let (observed, of_nowhere) = (window(&self.slots, &reading), window(of_nowhere, &reading));
        // Counters that went back are those of another namespace with the same number.
        let latest = match (&self.last, &self.base) {
            (Some(last), _) => Some(&last.reading),
            (None, base) => base.as_ref().map(|base| &base.reading),
        };
        let went_back = latest.is_some_and(|it| reading.counts.since(&it.counts).is_none());
        let grown = self
            .base
            .as_ref()
            .filter(|_| !went_back)
            .map(|base| reading.counts.since(&base.reading.counts));
        let (Some(base), Some(Some(grown))) = (&self.base, grown) else {
            self.base = Some(Base {
                reading,
                observed,
                of_nowhere,
            });
            self.last = None;
            self.streaks = [0; Counter::ALL.len()];
            return Some(Vec::new());
        };
        let (before, last, nowhere_before) = match &self.last {
            Some(last) => (Some(&last.lines), last.reading, last.of_nowhere),
            None => (None, base.reading, base.of_nowhere),
        };
        let compared = Compared {
            kernel: grown,
            kernel_lately: reading.counts.since(&last.counts).unwrap_or_default(),
            observed: observed.since(&base.observed),
            nowhere: of_nowhere.since(&base.of_nowhere).possible,
            nowhere_lately: of_nowhere.since(&nowhere_before).possible,
        };
        let lines: Vec<Line> = Counter::ALL
            .into_iter()
            .enumerate()
            .map(|(index, counter)| {
                let before = before.and_then(|lines| lines.get(index));
                compared.line(facts, counter, before)
            })
            .collect();
        for (streak, line) in self.streaks.iter_mut().zip(&lines) {
            let odd = line.since_start.unexplained != 0;
            *streak = if odd { streak.saturating_add(1) } else { 0 };
        }
        self.last = Some(Judged {
            reading,
            from: last.to,
            of_nowhere,
            lines: lines.clone(),
        });
        Some(lines)
    }

    /// The counters that were unexplained exactly so many times in a row by now.
    pub(super) fn unexplained_for(&self, times: u32) -> impl Iterator<Item = &Line> {
        let lines = self.last.iter().flat_map(|last| &last.lines);
        let streaks = self.streaks.iter();
        lines
            .zip(streaks)
            .filter_map(move |(line, streak)| (*streak == times).then_some(line))
    }

    pub(super) fn account(&self) -> Account {
        Account {
            name: self.name.clone(),
            netns: self.netns,
            problem: self.problem.clone(),
            since: self.base.as_ref().map(|base| base.reading.to),
            interval: self.last.as_ref().map(|last| (last.from, last.reading.to)),
            lines: self
                .last
                .as_ref()
                .map(|last| last.lines.clone())
                .unwrap_or_default(),
        }
    }
}

fn window(slots: &Slots, reading: &Reading) -> Window {
    let margin = u64::try_from(MARGIN.as_nanos()).unwrap_or(u64::MAX);
    Window {
        certain: slots.before(Timestamp(reading.from.0.saturating_sub(margin))),
        possible: slots.until(reading.to.after(MARGIN)),
    }
}

impl Window {
    fn since(&self, before: &Self) -> Self {
        Self {
            certain: self.certain.since(&before.possible),
            possible: self.possible.since(&before.certain),
        }
    }
}

/// What was counted and what was observed since the first reading.
struct Compared {
    kernel: Counts,
    /// Since the reading before this one.
    kernel_lately: Counts,
    observed: Window,
    nowhere: Tally,
    nowhere_lately: Tally,
}

impl Compared {
    fn line(&self, facts: &Facts, counter: Counter, before: Option<&Line>) -> Line {
        let row = counter.row();
        let blind_to = facts.blind_to(counter);
        let judged = row.equals.is_some() && blind_to.is_none();
        let kernel = self.kernel.get(counter);
        let observed = row.equals.map(|_| {
            let certain = self.observed.certain.get(counter);
            let possible = self.observed.possible.get(counter).max(certain);
            kernel.map_or(certain, |kernel| kernel.clamp(certain, possible))
        });
        let observed_before = before.and_then(|line| line.since_start.observed);
        let observed_lately = observed.map(|now| now.saturating_sub(observed_before.unwrap_or(0)));
        let sum = |counts: &Counts, observed, nowhere: &Tally| {
            let explained = |allowances: &[Allowance]| {
                let each = allowances.iter().map(|allowance| match allowance {
                    Allowance::Kernel(other) => counts.get(*other).unwrap_or(0),
                    Allowance::ResetsOfNowhere => nowhere.get(counter),
                });
                each.fold(0, u64::saturating_add)
            };
            let explained = judged.then(|| (explained(row.more), explained(row.less)));
            Sum::new(counts.get(counter), observed, explained)
        };
        Line {
            counter,
            judged,
            blind_to,
            interval: sum(&self.kernel_lately, observed_lately, &self.nowhere_lately),
            since_start: sum(&self.kernel, observed, &self.nowhere),
        }
    }
}

impl Sum {
    /// `explained`: by how much the kernel may count more, and less; `None`: not judged.
    fn new(kernel: Option<u64>, observed: Option<u64>, explained: Option<(u64, u64)>) -> Self {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let difference = match (kernel, observed) {
            (Some(kernel), Some(observed)) => signed(kernel).saturating_sub(signed(observed)),
            (Some(_), None) | (None, _) => 0,
        };
        let unexplained = explained.map_or(0, |(more, less)| {
            if difference > 0 {
                difference.saturating_sub(signed(more)).max(0)
            } else {
                difference.saturating_add(signed(less)).min(0)
            }
        });
        Self {
            kernel,
            observed,
            difference,
            unexplained,
        }
    }
}
