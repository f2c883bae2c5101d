//! Whether what the agent observed adds up to what the kernel counted.
//!
//! Takes readings of each audited namespace's counters, verdicts, the tracker's other
//! outputs and the time; gives an [`Account`] a namespace and, where something stays
//! unexplained, a [`Mismatch`]. Pure: no IO, no clock. It never changes a verdict.
//!
//! A verdict is final up to 5 s after the kernel counted, so a reading is judged [`LAG`]
//! after it was taken, against what had happened by then, whenever that became known.

mod ledger;
mod need;
mod reading;
mod slots;
mod table;

#[cfg(test)]
mod tests;

pub use need::Facts;
pub use reading::{Counts, Reading};
pub use table::{Counter, Row};

use std::time::Duration;

use crate::classify::{self, Ending, Verdict};
use crate::event::Timestamp;
use crate::track::{Output, TimeWaitEnd};

use ledger::Ledger;
use slots::Slots;

/// From a reading to its judgement.
pub const LAG: Duration = Duration::from_secs(6);

/// Judgements in a row after which something unexplained is worth a warning. One that goes away
/// and comes back is worth another.
const WORTH_A_WARNING: u32 = 2;

/// What one counter was on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// By how much the kernel's counter grew; `None`: this kernel does not have it.
    pub kernel: Option<u64>,
    /// How much of it was observed; `None`: nothing that is observed equals it.
    pub observed: Option<u64>,
    /// The kernel's less what was observed.
    pub difference: i64,
    /// What of the difference nothing explains; 0 where it is not judged.
    pub unexplained: i64,
}

/// One counter of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub counter: Counter,
    /// Whether the difference is judged: something that is observed equals it, and the probes in
    /// force see all of that.
    pub judged: bool,
    /// What of it the probes in force do not see, if that is why it is not judged.
    pub blind_to: Option<&'static str>,
    /// Between the last two readings.
    pub interval: Sum,
    /// Since the first reading.
    pub since_start: Sum,
}

/// The books of one namespace as they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is called: `own`, or the path that was given.
    pub name: String,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Why its counters cannot be read, if they cannot.
    pub problem: Option<String>,
    /// When the first reading was taken.
    pub since: Option<Timestamp>,
    /// When the last two judged readings were taken.
    pub interval: Option<(Timestamp, Timestamp)>,
    /// One a counter, once two readings were judged.
    pub lines: Vec<Line>,
}

impl Account {
    /// What nothing explains of a counter, if it can be read and was judged.
    pub fn unexplained(&self, counter: Counter) -> i64 {
        let mut lines = self.lines.iter().filter(|_| self.problem.is_none());
        let found = lines.find(|line| line.counter == counter);
        found.map_or(0, |line| line.since_start.unexplained)
    }
}

/// A counter that stays unexplained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The namespace.
    pub name: String,
    /// The counter.
    pub counter: Counter,
    /// Both sides, since the first reading.
    pub sum: Sum,
}

/// What became known of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Which namespace, in the order in which they were given.
    pub index: usize,
    /// One a counter; empty for the first reading, which the others are compared to.
    pub lines: Vec<Line>,
    /// Those to warn of.
    pub mismatches: Vec<Mismatch>,
}

/// A namespace whose counters can no longer be read, or can again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// They cannot be read, for this reason.
    Lost(String),
    /// They can be read again.
    Back,
    /// The name means another namespace: its books start anew.
    Replaced,
}

/// The books of every audited namespace.
#[derive(Debug)]
pub struct Audit {
    facts: Facts,
    ledgers: Vec<Ledger>,
    /// Resets that name no namespace.
    of_nowhere: Slots,
}

impl Audit {
    /// Books for namespaces, by name and inode number.
    pub fn new(facts: Facts, namespaces: impl IntoIterator<Item = (String, u32)>) -> Self {
        let books = |(name, netns)| Ledger::new(name, netns);
        Self {
            facts,
            ledgers: namespaces.into_iter().map(books).collect(),
            of_nowhere: Slots::default(),
        }
    }

    /// Adds what the end of a connection made the kernel count. Its resets are told as they are
    /// sent.
    pub fn note_verdict(&mut self, verdict: &Verdict) {
        let (netns, at) = (verdict.netns, verdict.ended_at);
        let at_end = verdict.counters.moved();
        for (counter, count) in at_end.filter(|(it, _)| *it != classify::Counter::OutRsts) {
            self.note(netns, at, of_an_end(counter), u64::from(count));
        }
        let ran_out = verdict.ending == Ending::TimeoutFinWait2 && verdict.attributes.minisock;
        if ran_out && self.facts.counts_minisocks_at_end {
            self.note(netns, at, Counter::TimeWaits, 1);
        }
    }

    /// Adds what the kernel counted beside the ends of connections.
    pub fn note_output(&mut self, output: &Output) {
        let at_end = self.facts.counts_minisocks_at_end;
        match *output {
            Output::LooseReset { netns, at, .. } | Output::ResetSent { netns, at } => match netns {
                Some(netns) => self.note(netns, at, Counter::OutRsts, 1),
                None => self.of_nowhere.add(at, Counter::OutRsts, 1),
            },
            Output::MinisockStarted { netns, at } if !at_end => {
                self.note(netns, at, Counter::TimeWaits, 1);
            }
            Output::UnknownExpired { netns, at } if at_end => {
                self.note(netns, at, Counter::TimeWaits, 1);
            }
            Output::Stillborn { netns, at } => self.note(netns, at, Counter::AttemptFails, 1),
            Output::TimeWaitEnded(over) => match over.how {
                TimeWaitEnd::Recycled => {
                    self.note(over.netns, over.at, Counter::TimeWaitsRecycled, 1);
                }
                TimeWaitEnd::Expired if at_end => {
                    self.note(over.netns, over.at, Counter::TimeWaits, 1);
                }
                TimeWaitEnd::Expired
                | TimeWaitEnd::Reused
                | TimeWaitEnd::Reset
                | TimeWaitEnd::Destroyed
                | TimeWaitEnd::Other => {}
            },
            // The verdict has all that counts.
            Output::Closed(_) | Output::MinisockStarted { .. } | Output::UnknownExpired { .. } => {}
        }
    }

    fn note(&mut self, netns: u32, at: Timestamp, counter: Counter, count: u64) {
        // One namespace may have several names.
        for ledger in self.ledgers.iter_mut().filter(|it| it.netns == netns) {
            ledger.slots.add(at, counter, count);
        }
    }

    /// Takes a reading of a namespace, or why there is none.
    pub fn take(&mut self, index: usize, reading: Result<Reading, String>) -> Option<Change> {
        let ledger = self.ledgers.get_mut(index)?;
        let had_problem = ledger.problem.is_some();
        match reading {
            Err(problem) => {
                ledger.problem = Some(problem.clone());
                (!had_problem).then_some(Change::Lost(problem))
            }
            Ok(reading) => {
                let replaced = ledger.take(&reading);
                let back = had_problem.then_some(Change::Back);
                replaced.then_some(Change::Replaced).or(back)
            }
        }
    }

    /// Judges the readings whose time has come, when all that happened before `now` is known. Call
    /// it after all readings that are there were taken.
    pub fn judge(&mut self, now: Timestamp) -> Vec<Judgement> {
        let lag = u64::try_from(LAG.as_nanos()).unwrap_or(u64::MAX);
        let ripe = Timestamp(now.0.saturating_sub(lag));
        let mut judgements = Vec::new();
        for (index, ledger) in self.ledgers.iter_mut().enumerate() {
            while let Some(lines) = ledger.judge(&self.facts, &self.of_nowhere, ripe) {
                let stays = ledger
                    .unexplained_for(WORTH_A_WARNING)
                    .filter(|_| !lines.is_empty());
                let mismatches = stays.map(|line| Mismatch {
                    name: ledger.name.clone(),
                    counter: line.counter,
                    sum: line.since_start,
                });
                let mismatches = mismatches.collect();
                judgements.push(Judgement {
                    index,
                    lines,
                    mismatches,
                });
            }
            ledger.slots.forget(now);
            ledger.settle();
        }
        self.of_nowhere.forget(now);
        judgements
    }

    /// The counters that cannot be judged for want of probes.
    pub fn blind(&self) -> Vec<Counter> {
        let all = Counter::ALL.into_iter();
        all.filter(|counter| self.facts.blind_to(*counter).is_some())
            .collect()
    }

    /// The books as they stand.
    pub fn accounts(&self) -> Vec<Account> {
        self.ledgers.iter().map(Ledger::account).collect()
    }
}

fn of_an_end(counter: classify::Counter) -> Counter {
    match counter {
        classify::Counter::EstabResets => Counter::EstabResets,
        classify::Counter::AttemptFails => Counter::AttemptFails,
        classify::Counter::OutRsts => Counter::OutRsts,
        classify::Counter::AbortOnData => Counter::AbortOnData,
        classify::Counter::AbortOnClose => Counter::AbortOnClose,
        classify::Counter::AbortOnMemory => Counter::AbortOnMemory,
        classify::Counter::AbortOnTimeout => Counter::AbortOnTimeout,
        classify::Counter::AbortOnLinger => Counter::AbortOnLinger,
        classify::Counter::TimeWaitOverflow => Counter::TimeWaitOverflow,
    }
}
