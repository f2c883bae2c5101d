//! The agents, one for each backend, attached at once and judging the same traffic.
//!
//! Starts when the first case asks for it, so that `--list` starts nothing.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;
use serde_json::Value;
use xtask::agent::{Agent, Records};
use xtask::scenario::{Performed, Scenario, timed_out};

use crate::tries::Doubts;

/// Every backend of the agent.
pub(crate) const BACKENDS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// Everything that the cases share.
#[derive(Debug)]
pub(crate) struct Session {
    /// The agent, or why nothing can be tested here.
    pub(crate) agent: Result<PathBuf, String>,
    /// The backends to test.
    pub(crate) backends: Vec<&'static str>,
    /// The cases that wait for a second try.
    pub(crate) doubts: Doubts,
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
        Ok(Box::leak(Box::new(Self {
            agent,
            backends,
            doubts: Doubts::default(),
            running: OnceLock::new(),
            passed: Mutex::default(),
            performed: Mutex::default(),
            performed_again: Mutex::default(),
        })))
    }

    /// The agents; the first caller starts them all.
    pub(crate) fn running(&self) -> &BTreeMap<&'static str, Running> {
        self.running.get_or_init(|| {
            self.backends
                .iter()
                .map(|backend| (*backend, self.start(backend)))
                .collect()
        })
    }

    fn start(&self, backend: &str) -> Running {
        let path = self.agent.clone().unwrap_or_default();
        match Agent::trace(&path, &["--backend", backend]) {
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

fn asked_for(list: &str) -> Result<Vec<&'static str>> {
    list.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let found = BACKENDS.into_iter().find(|backend| *backend == word);
            found.with_context(|| {
                format!("KERNEL_TEST_BACKENDS names no backend: {word}; there are {BACKENDS:?}")
            })
        })
        .collect()
}

/// The backends whose own twin answers the first question here.
fn usable(agent: &Path) -> Vec<&'static str> {
    let answers = |backend: &str| -> Option<bool> {
        let output = Command::new(agent)
            .args(["check", "--json", "--backend", backend])
            .output()
            .ok()?;
        let report: Value = serde_json::from_slice(&output.stdout).ok()?;
        let questions = report.get("questions")?.as_array()?;
        Some(questions.first()?.get("twin")? == backend)
    };
    let (usable, not): (Vec<_>, Vec<_>) = BACKENDS
        .into_iter()
        .partition(|backend| answers(backend).unwrap_or(false));
    if !not.is_empty() {
        println!("kernel tests: this kernel does not allow the backends {not:?}: not tested");
    }
    usable
}
