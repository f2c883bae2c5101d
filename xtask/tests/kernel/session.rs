//! The agents, one for each backend, attached at once and judging the same traffic.
//!
//! Starts when the first case asks for it, so that `--list` starts nothing.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use nix::unistd::geteuid;
use xtask::agent::{Agent, Records};
use xtask::judge::Skip;
use xtask::scenario::{Performed, Scenario, timed_out};

use crate::again::Failures;
use crate::backends::{BACKENDS, asked_for, refusal, usable};
use crate::tries::Doubts;

/// Everything that the cases share.
#[derive(Debug)]
pub(crate) struct Session {
    /// The agent, or why nothing can be tested here.
    pub(crate) agent: Result<PathBuf, String>,
    /// The backends to test.
    pub(crate) backends: Vec<&'static str>,
    /// Those that this kernel may refuse.
    may_lack: Vec<&'static str>,
    /// Why it refuses those that it does; asked when the first case wants to know.
    refusals: OnceLock<BTreeMap<&'static str, String>>,
    /// Only one scenario for each ending.
    pub(crate) one_per_ending: bool,
    /// The cases that wait for a second try.
    pub(crate) doubts: Doubts,
    /// The same for those with an agent of their own.
    pub(crate) failures: Failures,
    running: OnceLock<BTreeMap<&'static str, Running>>,
    passed: Mutex<Vec<(&'static Scenario, &'static str)>>,
    performed: Performances,
    performed_again: Performances,
}

type Performances = Mutex<BTreeMap<&'static str, &'static OnceLock<Done>>>;

/// A scenario that ran, or did not do what it claims.
pub(crate) type Done = Result<Performed, Undone>;

/// Why a scenario did not do what it claims.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) why: String,
    /// A ceiling passed.
    pub(crate) timed_out: bool,
}

/// An agent that was started with the others, or why it was not.
#[derive(Debug)]
pub(crate) struct Running {
    /// Taken by the case that stops it.
    pub(crate) agent: Mutex<Option<Agent>>,
    /// What it has said.
    pub(crate) records: Result<Records, String>,
}

impl Session {
    /// What the environment asks for. Lives as long as the process.
    pub(crate) fn from_env() -> Result<&'static Self> {
        let agent = agent();
        if let Err(why) = &agent {
            println!("kernel tests: all skipped: {why}");
        }
        let backends = match env::var("KERNEL_TEST_BACKENDS") {
            Ok(list) => asked_for(&list)?,
            Err(_) => agent
                .as_ref()
                .map_or_else(|_| BACKENDS.to_vec(), |path| usable(path)),
        };
        let may_lack = asked_for(&env::var("KERNEL_TEST_MAY_LACK").unwrap_or_default())?;
        Ok(Box::leak(Box::new(Self {
            agent,
            backends,
            may_lack,
            refusals: OnceLock::new(),
            one_per_ending: env::var_os("KERNEL_TEST_ONE_PER_ENDING").is_some(),
            doubts: Doubts::default(),
            failures: Failures::default(),
            running: OnceLock::new(),
            passed: Mutex::default(),
            performed: Mutex::default(),
            performed_again: Mutex::default(),
        })))
    }

    /// Whether a scenario is among those to perform.
    pub(crate) fn wants(&self, scenario: &Scenario) -> bool {
        !self.one_per_ending || scenario.stands_for_an_ending()
    }

    /// Why a case cannot be tested here, if it cannot. Its backend stands last in its name.
    pub(crate) fn hindrance(&self, case: &str) -> Option<Skip> {
        if let Err(why) = &self.agent {
            return Some(Skip::NotPermitted(why.clone()));
        }
        let backend = case.rsplit("::").next().unwrap_or(case);
        let why = self.refusals().get(backend)?.clone();
        let backend = backend.to_owned();
        Some(Skip::Refused { backend, why })
    }

    /// A check that cannot be made is no refusal: the cases then run, and fail.
    fn refusals(&self) -> &BTreeMap<&'static str, String> {
        self.refusals.get_or_init(|| {
            let agent = self.agent.clone().unwrap_or_default();
            let why = |backend: &&'static str| Some((*backend, refusal(&agent, backend).ok()??));
            self.may_lack.iter().filter_map(why).collect()
        })
    }

    /// The first of the backends to test that the kernel allows.
    pub(crate) fn best(&self) -> Option<&'static str> {
        let mut backends = self.backends.iter().copied();
        backends.find(|backend| !self.refusals().contains_key(backend))
    }

    /// The agents; the first caller starts them all.
    pub(crate) fn running(&self) -> &BTreeMap<&'static str, Running> {
        self.running.get_or_init(|| {
            self.backends
                .iter()
                .filter(|backend| !self.refusals().contains_key(*backend))
                .map(|backend| (*backend, self.start(backend)))
                .collect()
        })
    }

    fn start(&self, backend: &str) -> Running {
        let path = self.agent.clone().unwrap_or_default();
        let options = env::var("KERNEL_TEST_OPTIONS").unwrap_or_default();
        let options: Vec<&str> = options.split_whitespace().collect();
        match Agent::trace(&path, &[&["--backend", backend], &options[..]].concat()) {
            Ok((agent, records)) => Running {
                agent: Mutex::new(Some(agent)),
                records: Ok(records),
            },
            Err(error) => Running {
                agent: Mutex::default(),
                records: Err(format!("{error:#}")),
            },
        }
    }

    /// Performs a scenario once for all backends.
    pub(crate) fn perform(&self, scenario: &'static Scenario) -> &'static Done {
        once(&self.performed, scenario)
    }

    /// Performs it once more, in a fresh namespace, for all backends that doubted.
    pub(crate) fn perform_again(&self, scenario: &'static Scenario) -> &'static Done {
        once(&self.performed_again, scenario)
    }

    /// Notes that a backend was right about a scenario at once.
    pub(crate) fn pass(&self, scenario: &'static Scenario, backend: &'static str) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.push((scenario, backend));
    }

    /// The scenarios that a backend was right about at once.
    pub(crate) fn passed(&self, backend: &str) -> Vec<&'static Scenario> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = passed.iter().filter(|(_, by)| *by == backend);
        of_it.map(|(scenario, _)| *scenario).collect()
    }

    /// The scenarios performed so far, second tries included.
    pub(crate) fn all_performed(&self) -> Vec<(&'static str, &'static Performed)> {
        let mut all = Vec::new();
        for performances in [&self.performed, &self.performed_again] {
            let cells = performances.lock().unwrap_or_else(PoisonError::into_inner);
            let done = |cell: &'static OnceLock<Done>| cell.get()?.as_ref().ok();
            all.extend(
                cells
                    .iter()
                    .filter_map(|(name, cell)| Some((*name, done(cell)?))),
            );
        }
        all
    }
}

fn once(performances: &Performances, scenario: &'static Scenario) -> &'static Done {
    let cell = *performances
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(scenario.name)
        .or_insert_with(|| Box::leak(Box::new(OnceLock::new())));
    // The namespace of each is kept until the end, so that no inode number comes twice.
    cell.get_or_init(|| perform(scenario))
}

/// Performs a scenario.
pub(crate) fn perform(scenario: &Scenario) -> Done {
    scenario.perform().map_err(|error| Undone {
        why: format!("{error:#}"),
        timed_out: timed_out(&error),
    })
}

fn agent() -> Result<PathBuf, String> {
    let path = env::var_os("TCP_OBSERVER_BIN")
        .ok_or("TCP_OBSERVER_BIN is not set; run `cargo xtask test`")?;
    if !geteuid().is_root() {
        return Err("needs root; run `cargo xtask vm`".to_owned());
    }
    Ok(PathBuf::from(path))
}
