//! The cases: each scenario on each backend, the end of each agent, and each agent alone.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use xtask::agent::{Agent, Records};
use xtask::judge::report;
use xtask::scenario::clock::wait_for;
use xtask::scenario::{self, Performed, Scenario};

use crate::coarser::coarser;
use crate::loaded;
use crate::results::Results;
use crate::session::{Running, Session};

/// The longest that a verdict may be on its way after a scenario is over.
const VERDICT_CEILING: Duration = Duration::from_mins(1);
/// How long a record too many is waited for.
const SETTLE: Duration = Duration::from_millis(500);
/// The agent promises to end within a second; an emulated machine needs slack.
const STOP_CEILING: Duration = Duration::from_secs(10);

/// Every scenario on every backend, all agents attached at once.
pub(crate) fn together(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut trials = Vec::new();
    for scenario in scenario::all() {
        for backend in session.backends.iter().copied() {
            trials.push(trial(
                session,
                results,
                format!("{}::{backend}", scenario.name),
                move || {
                    let records = running(session, backend)?
                        .records
                        .as_ref()
                        .map_err(Failed::from)?;
                    let performed = session.perform(scenario).as_ref().map_err(Failed::from)?;
                    compare(scenario, backend, performed, records)
                },
            ));
        }
    }
    trials
}

/// SIGTERM ends each agent in time, and nothing of it stays in the kernel.
pub(crate) fn stops(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let stop = |backend: &'static str| {
        trial(session, results, format!("stops::{backend}"), move || {
            let running = running(session, backend)?;
            let records = running.records.as_ref().map_err(Failed::from)?;
            let agent = running.agent.lock().map_err(|_poisoned| "poisoned")?.take();
            let late = late_records(session, records)?;
            end(agent.ok_or("it was stopped before")?)?;
            if late.is_empty() {
                Ok(())
            } else {
                Err(late.into())
            }
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
            let performed = scenario.perform()?;
            compare(scenario, backend, &performed, &records)?;
            end(agent)
        })
    };
    session.backends.iter().copied().map(alone).collect()
}

fn trial(
    session: &'static Session,
    results: &'static Results,
    name: String,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let case = name.clone();
    Trial::ignorable_test(name, move || {
        results.record(&case, || match &session.agent {
            Err(why) => Ok(Completion::ignored_with(why)),
            Ok(_) => run().map(|()| Completion::Completed),
        })
    })
}

fn running(session: &'static Session, backend: &str) -> Result<&'static Running, Failed> {
    Ok(session.running().get(backend).ok_or("no such backend")?)
}

/// Waits for the agent's records of a scenario, and judges them.
fn compare(
    scenario: &Scenario,
    backend: &str,
    performed: &Performed,
    records: &Records,
) -> Result<(), Failed> {
    let netns = performed.net.inode;
    let complete = wait_for("the agent's records", VERDICT_CEILING, || {
        Ok((records.of(netns)?.len() >= performed.ends.len()).then_some(()))
    });
    if complete.is_ok() {
        thread::sleep(SETTLE);
    }
    let wrong = report(
        &performed.ends,
        &records.of(netns)?,
        &coarser(scenario.name, backend),
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\n{wrong}", scenario.about).into())
    }
}

/// Records that came after their scenario had been judged.
fn late_records(session: &Session, records: &Records) -> Result<String, Failed> {
    let mut late = String::new();
    for (name, performed) in session.all_performed() {
        let (got, want) = (records.of(performed.net.inode)?.len(), performed.ends.len());
        if got > want {
            write!(late, "{name} has {got} records for {want} ends; ").ok();
        }
    }
    Ok(late)
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
