//! The cases: each scenario on each backend, the end of each agent, and each agent alone.

use std::thread;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use xtask::agent::{Agent, Records};
use xtask::judge::{Decision, allowed, decide, decide_undone, first_mismatch};
use xtask::scenario::clock::wait_for;
use xtask::scenario::{self, Performed, Scenario};

use crate::coarser::coarser;
use crate::loaded;
use crate::results::{Outcome, Results};
use crate::session::{Done, Running, Session, perform};
use crate::tries::{Doubt, second_try};

/// The longest that a verdict may be on its way after a scenario is over.
const VERDICT_CEILING: Duration = Duration::from_mins(1);
/// How long a record too many is waited for.
const SETTLE: Duration = Duration::from_millis(500);
/// The agent promises to end within a second; an emulated machine needs slack.
const STOP_CEILING: Duration = Duration::from_secs(10);

/// Every scenario on every backend, all agents attached at once. A case in doubt is left to
/// its second try, which has its result.
pub(crate) fn together(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut trials = Vec::new();
    for scenario in scenario::all() {
        for backend in session.backends.iter().copied() {
            let name = format!("{}::{backend}", scenario.name);
            let case = name.clone();
            trials.push(Trial::ignorable_test(name, move || {
                let outcome = match &session.agent {
                    Err(why) => Ok(Outcome::Skipped(why.clone())),
                    Ok(_) => match first_try(session, scenario, backend) {
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

/// No record came after its case had been judged.
pub(crate) fn late(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let late = |backend: &'static str| {
        let run = move || late_records(session, backend);
        trial(session, results, format!("late::{backend}"), run)
    };
    session.backends.iter().copied().map(late).collect()
}

/// SIGTERM ends each agent in time, nothing of it stays in the kernel, and its end adds no
/// line about a scenario that was over and fully told.
pub(crate) fn stops(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let stop = |backend: &'static str| {
        trial(session, results, format!("stops::{backend}"), move || {
            let running = running(session, backend)?;
            let records = running.records.as_ref().map_err(Failed::from)?;
            let agent = running.agent.lock().map_err(|_poisoned| "poisoned")?.take();
            let complete = complete(session, records)?;
            end(agent.ok_or("it was stopped before")?)?;
            for (name, performed) in complete {
                let (got, want) = (records.of(performed.net.inode)?.len(), performed.ends.len());
                if got != want {
                    let why = format!("its end told {} more of {name}", got.abs_diff(want));
                    return Err(why.into());
                }
            }
            Ok(Outcome::Passed)
        })
    };
    session.backends.iter().copied().map(stop).collect()
}

/// Each backend without another beside it.
pub(crate) fn alone(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let alone = |backend: &'static str| {
        trial(session, results, format!("alone::{backend}"), move || {
            let path = session.agent.clone()?;
            let (agent, records) = Agent::trace(&path, &["--backend", backend])?;
            let scenario = scenario::all()
                .find(|scenario| scenario.name == "data_then_close")
                .ok_or("no such scenario")?;
            let done = perform(scenario);
            let wrong = match judged(scenario, backend, &done, &records)? {
                Decision::Right => {
                    end(agent)?;
                    return Ok(Outcome::Passed);
                }
                Decision::Wrong(wrong) => return Err(about(scenario, &wrong)),
                Decision::Again(wrong) => wrong,
            };
            // `done` keeps the first namespace, so that the second has another inode number.
            let second = perform(scenario);
            match judged(scenario, backend, &second, &records)? {
                Decision::Right => end(agent).map(|()| Outcome::SecondTry(first_mismatch(&wrong))),
                Decision::Again(wrong) | Decision::Wrong(wrong) => Err(about(scenario, &wrong)),
            }
        })
    };
    session.backends.iter().copied().map(alone).collect()
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
        results.record(&case, || match &session.agent {
            Err(why) => Ok(Outcome::Skipped(why.clone())),
            Ok(_) => run(),
        })
    })
}

fn running(session: &'static Session, backend: &str) -> Result<&'static Running, Failed> {
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
    scenario: &'static Scenario,
    backend: &'static str,
) -> Result<Option<Doubt>, Failed> {
    let records = records(session, backend)?;
    match judged(scenario, backend, session.perform(scenario), records)? {
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

/// Waits for the agent's records of a scenario, and judges them.
pub(crate) fn judged(
    scenario: &Scenario,
    backend: &str,
    done: &Done,
    records: &Records,
) -> Result<Decision, Failed> {
    if let Ok(performed) = done {
        let netns = performed.net.inode;
        let complete = wait_for("the agent's records", VERDICT_CEILING, || {
            Ok((records.of(netns)?.len() >= performed.ends.len()).then_some(()))
        });
        if complete.is_ok() {
            thread::sleep(SETTLE);
        }
    }
    judged_now(scenario, backend, done, records)
}

fn judged_now(
    scenario: &Scenario,
    backend: &str,
    done: &Done,
    records: &Records,
) -> Result<Decision, Failed> {
    let performed = match done {
        Ok(performed) => performed,
        Err(undone) => return Ok(decide_undone(undone.why.clone(), undone.timed_out)),
    };
    let records = records.of(performed.net.inode)?;
    let coarser = coarser(scenario.name, backend);
    Ok(decide(&performed.ends, &records, &coarser))
}

/// Judges again what a backend was right about; what is in doubt now has a second try.
fn late_records(session: &'static Session, backend: &'static str) -> Result<Outcome, Failed> {
    let records = records(session, backend)?;
    let passed = session.passed(backend);
    let mut doubts = Vec::new();
    for scenario in &passed {
        match judged_now(scenario, backend, session.perform(scenario), records)? {
            Decision::Right => {}
            Decision::Wrong(wrong) => return Err(about(scenario, &wrong)),
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
        second_try(session, doubt)?;
    }
    Ok(Outcome::SecondTry(first))
}

fn about(scenario: &Scenario, wrong: &str) -> Failed {
    format!("{}\n{wrong}", scenario.about).into()
}

/// The scenarios of which there is a record for each end.
fn complete(
    session: &Session,
    records: &Records,
) -> Result<Vec<(&'static str, &'static Performed)>, Failed> {
    let mut complete = Vec::new();
    for (name, performed) in session.all_performed() {
        if records.of(performed.net.inode)?.len() == performed.ends.len() {
            complete.push((name, performed));
        }
    }
    Ok(complete)
}

fn end(agent: Agent) -> Result<(), Failed> {
    let programs = loaded::programs_of(agent.pid())?;
    if programs.is_empty() {
        return Err("it holds no BPF program, so nothing shows that it lets go of them".into());
    }
    let stopped = agent.stop()?;
    if !stopped.status.success() {
        return Err(format!(
            "it ended with {}: {}",
            stopped.status,
            stopped.errors.join("; ")
        )
        .into());
    }
    if stopped.took > STOP_CEILING {
        return Err(format!("it took {:?} to end", stopped.took).into());
    }
    loaded::wait_gone(&programs)?;
    Ok(())
}
