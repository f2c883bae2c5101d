//! A whole agent and, beside it, one agent for each kind of record that lacks its probes.
//!
//! Takes the agent's path and a backend; makes them all judge the same scenarios; gives what
//! changes without each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use xtask::agent::{Agent, Record, Records};
use xtask::judge::{
    Books, Change, Decision, Sound, Try, changes, confirmed, decide, is_unclear, to_confirm,
};
use xtask::scenario::clock::wait_for;
use xtask::scenario::{Performed, Scenario};

use crate::CASES_AT_ONCE;
use crate::at_once::at_once;
use crate::coarser::{coarser, unaccounted};
use crate::explained::Happened;
use crate::judgement::{count, of};
use crate::session::{Done, perform};

/// Loading probes keeps a CPU busy, and there are two.
const STARTS_AT_ONCE: usize = 3;
/// The agents share the machine; what they hold at once is small.
const RING: &str = "4MiB";
/// How long agents without a kind are given for what a whole one says at once: a socket whose
/// end they do not see is final a little later.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a record too many is waited for.
const SETTLE: Duration = Duration::from_secs(1);
/// Of the scenarios that are performed again.
const AGAIN_AT_ONCE: usize = 8;

/// The agents, all attached.
#[derive(Debug)]
pub(crate) struct Herd {
    backend: &'static str,
    whole: Records,
    without: BTreeMap<String, Records>,
    /// Each is killed when dropped.
    _agents: Vec<Agent>,
}

/// What the herd found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// By the kind that is missing.
    pub(crate) changes: BTreeMap<String, Vec<Change>>,
    /// How many cases the whole agent was right about.
    pub(crate) right: usize,
    /// What happened in them.
    pub(crate) happened: Happened,
    /// Those that it was not, and why: nothing can be told from them.
    pub(crate) doubtful: Named,
    /// Those about which it was wrong and called that exact. No load on the machine excuses it.
    pub(crate) wrong: Named,
}

/// Cases, and what is wrong with each.
type Named = Vec<(&'static str, String)>;

/// What the whole agent said of some cases.
#[derive(Debug, Default)]
struct Whole {
    sound: Vec<Told>,
    doubtful: Named,
    wrong: Named,
}

/// A scenario that the whole agent was right about.
type Told = (&'static Scenario, Performed);

impl Herd {
    /// Starts them.
    pub(crate) fn start(path: &Path, backend: &'static str, kinds: &[String]) -> Result<Self> {
        let wanted = [None]
            .into_iter()
            .chain(kinds.iter().map(Some))
            .collect::<Vec<_>>();
        let started = at_once(STARTS_AT_ONCE, wanted, |kind| {
            let mut arguments = vec!["--backend", backend, "--ring-size", RING];
            if let Some(kind) = kind {
                arguments.extend(["--without", kind]);
            }
            (kind, Agent::trace(path, &arguments))
        });
        let (mut whole, mut without, mut agents) = (None, BTreeMap::new(), Vec::new());
        for (kind, agent) in started {
            let (agent, records) = agent?;
            agents.push(agent);
            match kind {
                Some(kind) => drop(without.insert(kind.clone(), records)),
                None => whole = Some(records),
            }
        }
        Ok(Self {
            backend,
            whole: whole.context("the whole agent did not start")?,
            without,
            _agents: agents,
        })
    }

    /// Performs the scenarios and compares.
    pub(crate) fn examine(&self, scenarios: &[&'static Scenario]) -> Result<Findings> {
        let mut whole = self.judge_whole(scenarios, CASES_AT_ONCE)?;
        // So many probes at once make the kernel skip some, which leaves all that is open in
        // doubt; a second try is quieter.
        let doubtful = std::mem::take(&mut whole.doubtful);
        let again = named(scenarios, |name| doubtful.iter().any(|(it, _)| *it == name));
        let tried_again = self.judge_whole(&again, AGAIN_AT_ONCE)?;
        whole.sound.extend(tried_again.sound);
        whole.wrong.extend(tried_again.wrong);
        let first = self.changes(&whole.sound)?;
        let again: BTreeSet<String> = first.values().flat_map(to_confirm).collect();
        let (mut second, wrong) = self.second_try(scenarios, &again)?;
        whole.wrong.extend(wrong);
        let changes = first.into_iter().map(|(kind, first)| {
            let second = second.remove(&kind).unwrap_or_default();
            (kind, confirmed(&first, &second, &again))
        });
        Ok(Findings {
            changes: changes.collect(),
            right: whole.sound.len(),
            happened: whole.sound.iter().flat_map(endings).collect(),
            doubtful: tried_again.doubtful,
            wrong: whole.wrong,
        })
    }

    /// Performs some cases once more. Where the whole agent is not right about one, nothing is
    /// clear about it; the second part of the answer holds those that it is exactly wrong about.
    fn second_try(
        &self,
        scenarios: &[&'static Scenario],
        again: &BTreeSet<String>,
    ) -> Result<(BTreeMap<String, Try>, Named)> {
        let again = named(scenarios, |name| again.contains(name));
        let whole = self.judge_whole(&again, AGAIN_AT_ONCE)?;
        let mut tries = self.changes(&whole.sound)?;
        for one in tries.values_mut() {
            let unproven = whole.doubtful.iter().chain(&whole.wrong);
            one.unclear
                .extend(unproven.map(|(name, _)| (*name).to_owned()));
        }
        Ok((tries, whole.wrong))
    }

    /// Performs scenarios, and sorts them by what the whole agent says of them.
    fn judge_whole(&self, scenarios: &[&'static Scenario], count: usize) -> Result<Whole> {
        let (host_wide, ordinary): (Vec<_>, Vec<_>) = scenarios
            .iter()
            .copied()
            .partition(|scenario| scenario.host_wide);
        let run = |scenario: &'static Scenario| (scenario, perform(scenario));
        let mut performed = at_once(count, ordinary, run);
        performed.extend(host_wide.into_iter().map(run));
        self.settle(&performed);
        let mut whole = Whole::default();
        for (scenario, done) in performed {
            let performed = match done {
                Ok(performed) => performed,
                // It says nothing of the agent; among the cases it would fail at once.
                Err(undone) => {
                    whole.doubtful.push((scenario.name, undone.why));
                    continue;
                }
            };
            let records = of(&self.whole, &performed)?;
            let coarser = coarser(scenario.model, self.backend);
            let books = Books::of(scenario, &performed, unaccounted(self.backend));
            let (list, why) = match decide(&performed.ends, &records, &coarser, Some(&books)) {
                Decision::Right => {
                    whole.sound.push((scenario, performed));
                    continue;
                }
                Decision::Again(why) => (&mut whole.doubtful, why),
                Decision::Wrong(why) => {
                    tell(scenario, &why, &records);
                    (&mut whole.wrong, why)
                }
            };
            list.push((scenario.name, why));
            // A second try must not be given its inode number: the records of this one stay.
            Box::leak(Box::new(performed));
        }
        Ok(whole)
    }

    /// Waits until every agent has told of every end, or has had the time to: some never tell.
    fn settle(&self, performed: &[(&'static Scenario, Done)]) {
        let told = |records: &Records| {
            let all = performed.iter().filter_map(|(_, done)| done.as_ref().ok());
            all.map(|done| Ok(count(records, done)? >= done.ends.len()))
                .collect::<Result<Vec<bool>>>()
                .map(|told| told.into_iter().all(|told| told))
        };
        let agents = || self.without.values().chain([&self.whole]);
        let all = wait_for("all agents", PATIENCE, || {
            let told = agents().map(told).collect::<Result<Vec<bool>>>()?;
            Ok(told.into_iter().all(|told| told).then_some(()))
        });
        drop(all);
        thread::sleep(SETTLE);
    }

    fn changes(&self, sound: &[Told]) -> Result<BTreeMap<String, Try>> {
        let mut all = BTreeMap::new();
        for (kind, records) in &self.without {
            let mut found = Try::default();
            for (scenario, performed) in sound {
                let records = of(records, performed)?;
                let coarser = coarser(scenario.model, self.backend);
                let sound = Sound {
                    case: scenario.name,
                    ends: &performed.ends,
                    coarser: &coarser,
                    books: Books::of(scenario, performed, unaccounted(self.backend)),
                };
                found.changes.extend(changes(&sound, &records));
                if is_unclear(&records) {
                    found.unclear.insert(scenario.name.to_owned());
                }
            }
            all.insert(kind.clone(), found);
        }
        Ok(all)
    }
}

fn endings((scenario, performed): &Told) -> impl Iterator<Item = (&'static str, &'static str)> {
    let case = scenario.name;
    performed.ends.iter().map(move |end| (case, end.ending))
}

fn named(
    scenarios: &[&'static Scenario],
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<&'static Scenario> {
    let wanted = scenarios.iter().filter(|scenario| is_wanted(scenario.name));
    wanted.copied().collect()
}

/// The herd's findings as one error for every case that needs them.
pub(crate) fn shared(findings: &Result<Findings>) -> Result<&Findings> {
    findings.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Says what the whole agent told of a scenario, all of it: it does not happen twice.
fn tell(scenario: &Scenario, why: &str, records: &[Record]) {
    let mut text = format!("\n{}: {why}", scenario.name);
    for record in records {
        text.extend(["\n  ", &record.all.to_string()]);
    }
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}
