//! The end of each agent, and each agent alone.
//!
//! Takes the agents that judged the cases together and stops them, then starts each without
//! another beside it. Leaves no agent and no BPF program behind.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use xtask::agent::{Agent, Records};
use xtask::judge::{Decision, first_mismatch};
use xtask::scenario::{self, Performed};

use crate::backends::best;
use crate::cases::{about, running, trial};
use crate::judgement::{count, judged};
use crate::loaded;
use crate::results::{Outcome, Results};
use crate::session::{Session, perform};

/// The agent promises to end within a second; an emulated machine needs slack.
const STOP_CEILING: Duration = Duration::from_secs(10);

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
                let (got, want) = (count(records, performed)?, performed.ends.len());
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

/// Each backend without another beside it, and `auto`.
pub(crate) fn alone(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let alone = |backend: &'static str| {
        trial(session, results, format!("alone::{backend}"), move || {
            let path = session.agent.clone()?;
            let (agent, records) = Agent::trace(&path, &["--backend", backend])?;
            // What it cannot see, `auto` cannot see either where it takes the same probes.
            let judged_as = if backend == "auto" {
                best(&path)?.ok_or("the kernel refuses every backend")?
            } else {
                backend
            };
            let scenario = scenario::all()
                .find(|scenario| scenario.name == "data_then_close")
                .ok_or("no such scenario")?;
            let done = perform(scenario);
            let (decision, pairs) = judged(scenario, judged_as, &done, &records)?;
            results.note(&format!("alone::{backend}"), pairs);
            let wrong = match decision {
                Decision::Right => {
                    end(agent)?;
                    return Ok(Outcome::Passed);
                }
                Decision::Wrong(wrong) => return Err(about(scenario, &wrong)),
                Decision::Again(wrong) => wrong,
            };
            // `done` keeps the first namespace, so that the second has another inode number.
            let second = perform(scenario);
            let (decision, pairs) = judged(scenario, judged_as, &second, &records)?;
            results.note(&format!("alone::{backend}"), pairs);
            match decision {
                Decision::Right => end(agent).map(|()| Outcome::SecondTry(first_mismatch(&wrong))),
                Decision::Again(wrong) | Decision::Wrong(wrong) => Err(about(scenario, &wrong)),
            }
        })
    };
    let backends = session.backends.iter().copied().chain(["auto"]);
    backends.map(alone).collect()
}

/// The scenarios of which there is a record for each end.
fn complete(
    session: &Session,
    records: &Records,
) -> Result<Vec<(&'static str, &'static Performed)>, Failed> {
    let mut complete = Vec::new();
    for (name, performed) in session.all_performed() {
        if count(records, performed)? == performed.ends.len() {
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
