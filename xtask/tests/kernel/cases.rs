//! The cases: each scenario on each backend, and what came late.
//!
//! Takes the session, which performs each scenario once for all backends; gives one trial for
//! each. What is in doubt is left to the second tries.

use std::env;
use std::path::Path;

use libtest_mimic::{Completion, Failed, Trial};
use xtask::agent::Records;
use xtask::judge::{Decision, Skip, allowed, first_mismatch};
use xtask::scenario::{self, Scenario};

use crate::again::twice;
use crate::judgement::{judged, judged_now};
use crate::results::{Outcome, Results};
use crate::session::{Running, Session};
use crate::tries::{Doubt, second_try};

/// Every scenario that keeps to its own namespace on every backend, all agents attached at
/// once. A case in doubt is left to its second try, which has its result.
pub(crate) fn together(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    every(session, results, |scenario| !scenario.host_wide)
}

/// The same for scenarios that change the whole host, which must run one by one.
pub(crate) fn host_wide(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    every(session, results, |scenario| scenario.host_wide)
}

fn every(
    session: &'static Session,
    results: &'static Results,
    wanted: fn(&Scenario) -> bool,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    let is_wanted = |scenario: &&Scenario| wanted(scenario) && session.wants(scenario);
    for scenario in scenario::all().filter(is_wanted) {
        for backend in session.backends.iter().copied() {
            let name = format!("{}::{backend}", scenario.name);
            let case = name.clone();
            trials.push(Trial::ignorable_test(name, move || {
                let outcome = match hindrance(session, scenario, &case) {
                    Some(why) => Ok(Outcome::Skipped(why)),
                    None => match first_try(session, results, scenario, backend) {
                        Ok(Some(doubt)) => {
                            let why = first_mismatch(&doubt.first);
                            session.doubts.add(doubt);
                            return Ok(Completion::ignored_with(format!("to try again: {why}")));
                        }
                        Ok(None) => Ok(Outcome::Passed),
                        Err(failed) => Err(failed),
                    },
                };
                results.record(&case, || outcome)
            }));
        }
    }
    trials
}

/// Why a scenario is not performed here, if it is not.
pub(crate) fn hindrance(session: &Session, scenario: &Scenario, case: &str) -> Option<Skip> {
    if let Some(why) = session.hindrance(case) {
        return Some(why);
    }
    if scenario.host_wide && env::var_os("KERNEL_TEST_IN_VM").is_none() {
        let why = "changes the whole host, so it runs in VMs only";
        return Some(Skip::NotPermitted(why.to_owned()));
    }
    scenario.not_applicable().map(Skip::NotApplicable)
}

/// No record came after its case had been judged.
pub(crate) fn late(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let late = |backend: &'static str| {
        let run = move || late_records(session, results, backend);
        trial(session, results, format!("late::{backend}"), run)
    };
    session.backends.iter().copied().map(late).collect()
}

/// A case with a result of its own.
pub(crate) fn trial(
    session: &'static Session,
    results: &'static Results,
    name: String,
    run: impl FnOnce() -> Result<Outcome, Failed> + Send + 'static,
) -> Trial {
    let case = name.clone();
    Trial::ignorable_test(name, move || {
        results.record(&case, || match session.hindrance(&case) {
            Some(why) => Ok(Outcome::Skipped(why)),
            None => run(),
        })
    })
}

/// What one case does with an agent of its own: its path, and its backend.
pub(crate) type Own = fn(&Path, &str) -> anyhow::Result<()>;

/// A case for each backend, with an agent of its own.
pub(crate) fn of_each(
    session: &'static Session,
    results: &'static Results,
    name: &str,
    run: Own,
) -> Vec<Trial> {
    let case = |backend: &'static str| {
        trial(session, results, format!("{name}::{backend}"), move || {
            let path = session.agent.clone()?;
            run(&path, backend).map_err(|error| format!("{error:#}"))?;
            Ok(Outcome::Passed)
        })
    };
    session.backends.iter().copied().map(case).collect()
}

/// A case with an agent of the best backend here: what it is about does not depend on the probes,
/// and each start of an agent keeps an emulated machine busy for seconds.
pub(crate) fn of_best(
    session: &'static Session,
    results: &'static Results,
    name: &str,
    run: Own,
) -> Trial {
    twice(session, results, name, None, run)
}

/// The agent with this backend.
pub(crate) fn running(
    session: &'static Session,
    backend: &str,
) -> Result<&'static Running, Failed> {
    Ok(session.running().get(backend).ok_or("no such backend")?)
}

/// What the agent with this backend has said.
pub(crate) fn records(
    session: &'static Session,
    backend: &str,
) -> Result<&'static Records, Failed> {
    running(session, backend)?
        .records
        .as_ref()
        .map_err(Failed::from)
}

/// The doubt that a case leaves, if any.
fn first_try(
    session: &'static Session,
    results: &Results,
    scenario: &'static Scenario,
    backend: &'static str,
) -> Result<Option<Doubt>, Failed> {
    let records = records(session, backend)?;
    let (decision, pairs) = judged(scenario, backend, session.perform(scenario), records)?;
    results.note(&format!("{}::{backend}", scenario.name), pairs);
    match decision {
        Decision::Right => {
            session.pass(scenario, backend);
            Ok(None)
        }
        Decision::Again(first) => Ok(Some(Doubt {
            scenario,
            backend,
            first,
        })),
        Decision::Wrong(wrong) => Err(about(scenario, &wrong)),
    }
}

/// Judges again what a backend was right about; what is in doubt now has a second try. The line
/// of the case itself is written, so that these judgements stand in the line of this one.
fn late_records(
    session: &'static Session,
    results: &Results,
    backend: &'static str,
) -> Result<Outcome, Failed> {
    let records = records(session, backend)?;
    let passed = session.passed(backend);
    let note = |pairs| results.note_more(&format!("late::{backend}"), pairs);
    let mut doubts = Vec::new();
    for scenario in &passed {
        let (decision, pairs) = judged_now(scenario, backend, session.perform(scenario), records)?;
        match decision {
            Decision::Right => {}
            Decision::Wrong(wrong) => {
                note(pairs);
                return Err(about(scenario, &wrong));
            }
            Decision::Again(first) => doubts.push(Doubt {
                scenario,
                backend,
                first,
            }),
        }
    }
    let Some(doubt) = doubts.first() else {
        return Ok(Outcome::Passed);
    };
    let first = first_mismatch(&doubt.first);
    if doubts.len() > allowed(passed.len()) {
        return Err(format!("{} cases became wrong late: {first}", doubts.len()).into());
    }
    for doubt in &doubts {
        second_try(session, doubt, note)?;
    }
    Ok(Outcome::SecondTry(first))
}

/// What a scenario does, and what is wrong with what was said of it.
pub(crate) fn about(scenario: &Scenario, wrong: &str) -> Failed {
    format!("{}\n{wrong}", scenario.about).into()
}
