//! The judgement of one scenario.
//!
//! Takes what happened and an agent's records of its namespaces, waits for those that are still
//! on their way; gives what they amount to and what was compared.

use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use xtask::agent::{Record, Records};
use xtask::judge::{Books, Decision, Pair, decide, decide_undone, pairs};
use xtask::scenario::clock::wait_for;
use xtask::scenario::{Performed, Scenario};

use crate::coarser::{coarser, unaccounted};
use crate::session::Done;

/// The longest that a verdict may be on its way after a scenario is over.
const VERDICT_CEILING: Duration = Duration::from_mins(1);
/// How long a record too many is waited for.
const SETTLE: Duration = Duration::from_millis(500);

/// What a judgement amounts to, and what it compared.
pub(crate) type Judgement = (Decision, Vec<Pair>);

/// Waits for the agent's records of a scenario, and judges them.
pub(crate) fn judged(
    scenario: &Scenario,
    backend: &str,
    done: &Done,
    records: &Records,
) -> Result<Judgement, Failed> {
    if let Ok(performed) = done {
        let complete = wait_for("the agent's records", VERDICT_CEILING, || {
            Ok((count(records, performed)? >= performed.ends.len()).then_some(()))
        });
        if complete.is_ok() {
            thread::sleep(SETTLE);
        }
    }
    judged_now(scenario, backend, done, records)
}

/// Judges what the agent has said by now.
pub(crate) fn judged_now(
    scenario: &Scenario,
    backend: &str,
    done: &Done,
    records: &Records,
) -> Result<Judgement, Failed> {
    let performed = match done {
        Ok(performed) => performed,
        Err(undone) => {
            let decision = decide_undone(undone.why.clone(), undone.timed_out);
            return Ok((decision, Vec::new()));
        }
    };
    let records = of(records, performed)?;
    let coarser = coarser(scenario.model, backend);
    let books = Books::of(scenario, performed, unaccounted(backend));
    let decision = decide(&performed.ends, &records, &coarser, Some(&books));
    Ok((decision, pairs(&performed.ends, &records, &coarser)))
}

/// What the agent has said about the namespaces of a scenario.
pub(crate) fn of(records: &Records, performed: &Performed) -> anyhow::Result<Vec<Record>> {
    let mut all = Vec::new();
    for inode in performed.net.inodes() {
        all.extend(records.of(inode)?);
    }
    Ok(all)
}

pub(crate) fn count(records: &Records, performed: &Performed) -> anyhow::Result<usize> {
    let mut count = 0;
    for inode in performed.net.inodes() {
        count += records.count(inode)?;
    }
    Ok(count)
}
