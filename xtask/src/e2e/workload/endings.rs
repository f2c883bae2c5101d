//! Each ending once, by the scenario that stands for it in the kernel tests.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::Until;
use crate::scenario::endings::ONE_PER_ENDING;
use crate::scenario::net::Net;
use crate::scenario::{self, Performed, Scenario};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(20);
const MOST_ROUNDS: usize = 200;

/// What came of the table of endings.
#[derive(Debug)]
pub(in crate::e2e) struct Made {
    /// Endings that were made.
    pub(in crate::e2e) endings: Vec<&'static str>,
    /// Those that cannot be made here, and why.
    pub(in crate::e2e) left_out: Vec<(&'static str, String)>,
    _performed: Vec<Performed>,
}

/// Makes all that this machine can, at once.
pub(in crate::e2e) fn perform() -> Result<Made> {
    let mut endings = Vec::new();
    let mut left_out = Vec::new();
    let mut chosen: Vec<&Scenario> = Vec::new();
    for (ending, name) in ONE_PER_ENDING {
        let scenario = scenario::all().find(|it| it.name == *name);
        let scenario = scenario.with_context(|| format!("there is no scenario {name}"))?;
        if scenario.host_wide {
            left_out.push((*ending, "it changes the whole host".to_owned()));
        } else if let Some(why) = scenario.not_applicable() {
            left_out.push((*ending, why));
        } else {
            endings.push(*ending);
            if !chosen.iter().any(|it| it.name == scenario.name) {
                chosen.push(scenario);
            }
        }
    }
    let performed = thread::scope(|scope| {
        let running = chosen.iter().map(|it| scope.spawn(|| it.perform()));
        let running: Vec<_> = running.collect();
        let panicked = |_| Err(anyhow!("a scenario panicked"));
        let done = running
            .into_iter()
            .map(|it| it.join().unwrap_or_else(panicked));
        done.collect::<Result<Vec<_>>>()
    })?;
    Ok(Made {
        endings,
        left_out,
        _performed: performed,
    })
}

/// Again and again, so that a picture of some minutes has each of them.
pub(super) fn again(_: &Net, until: &Until) -> Result<()> {
    for _ in 0..MOST_ROUNDS {
        if !until.goes_on(PAUSE) {
            break;
        }
        perform()?;
    }
    Ok(())
}
