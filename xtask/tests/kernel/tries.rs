//! The second tries.
//!
//! Takes the cases whose first judgement left a doubt; performs their scenarios once more,
//! alone, while the same agents stay attached. Never more than a few, and never so late that
//! the machine's wall limit comes first.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use xtask::judge::{Decision, Pair, allowed, excused, first_mismatch};
use xtask::scenario::{SLOW, Scenario, clock};

use crate::cases::{records, trial};
use crate::judgement::judged;
use crate::results::{Outcome, Results};
use crate::session::Session;

/// A boot has 16 minutes. Afterwards each agent stops and is tried alone, which may take three.
const LATEST_START: Duration = Duration::from_mins(7);
/// The same for the scenario that waits for a timer of a minute.
const LATEST_SLOW_START: Duration = Duration::from_mins(5);

/// A case that waits for its second try.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) scenario: &'static Scenario,
    pub(crate) backend: &'static str,
    /// What was wrong at first.
    pub(crate) first: String,
}

/// Those that wait, and since when the cases run.
#[derive(Debug)]
pub(crate) struct Doubts {
    start: Instant,
    waiting: Mutex<Vec<Doubt>>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self {
            start: clock::now(),
            waiting: Mutex::default(),
        }
    }
}

impl Doubts {
    pub(crate) fn add(&self, doubt: Doubt) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(doubt);
    }

    fn take(&self) -> Vec<Doubt> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A trial for each case that waits, of so many that ran. So many that they cannot be chance
/// fail without a second try.
pub(crate) fn second(
    session: &'static Session,
    results: &'static Results,
    ran: usize,
) -> Vec<Trial> {
    let doubts = session.doubts.take();
    let (count, most) = (doubts.len(), allowed(ran));
    let too_many = (count > most)
        .then(|| format!("not tried again: {count} of {ran} cases failed, more than {most}"));
    let again = |doubt: Doubt| {
        let too_many = too_many.clone();
        let name = format!("{}::{}", doubt.scenario.name, doubt.backend);
        let case = name.clone();
        trial(session, results, name, move || match too_many {
            Some(why) => Err(format!("{}\n{why}", doubt.first.trim_end()).into()),
            None => second_try(session, &doubt, |pairs| results.note(&case, pairs)),
        })
    };
    doubts.into_iter().map(again).collect()
}

/// Performs the scenario once more; all backends that doubted share it. What it compares is
/// noted before it counts as a failure.
pub(crate) fn second_try(
    session: &'static Session,
    doubt: &Doubt,
    note: impl FnOnce(Vec<Pair>),
) -> Result<Outcome, Failed> {
    let (scenario, backend, first) = (doubt.scenario, doubt.backend, doubt.first.trim_end());
    let latest = if scenario.name == SLOW {
        LATEST_SLOW_START
    } else {
        LATEST_START
    };
    let since = session.doubts.start.elapsed();
    if since > latest {
        let late = format!("not tried again: {} s have passed", since.as_secs());
        return Err(format!("{first}\n{late}").into());
    }
    let records = records(session, backend)?;
    let (decision, pairs) = judged(scenario, backend, session.perform_again(scenario), records)?;
    let excuse = match decision {
        Decision::Again(_) => excused(pairs.clone()),
        Decision::Right | Decision::Wrong(_) => None,
    };
    let is_excused = excuse.is_some();
    note(excuse.unwrap_or(pairs));
    match decision {
        Decision::Right => Ok(Outcome::SecondTry(first_mismatch(first))),
        Decision::Again(_) if is_excused => Ok(Outcome::SecondTry(first_mismatch(first))),
        Decision::Again(second) | Decision::Wrong(second) => Err(format!(
            "{}\nat the first try:\n{first}\nat the second try:\n{second}",
            scenario.about
        )
        .into()),
    }
}
