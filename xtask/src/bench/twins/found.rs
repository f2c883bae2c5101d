//! What was found of a backend, as it is told from the guest to the host.
//!
//! Takes lines; gives a [`Found`] for each that is one. Pure.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::bench::stats::{Quartiles, number, ratio};

/// Runs of a program, by `kernel.bpf_stats_enabled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Runs {
    pub(in crate::bench) count: u64,
    /// In all of them.
    pub(in crate::bench) ns: u64,
}

impl Runs {
    /// Those since an earlier look.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            ns: self.ns.saturating_sub(before.ns),
        }
    }

    /// One of them, ns; none for none.
    pub(super) fn each(self) -> Option<f64> {
        (self.count > 0).then(|| ratio(number(self.ns), number(self.count)))
    }
}

/// One program of the agent, and the empty one on its hook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) hook: String,
    pub(super) ours: Runs,
    pub(super) empty: Runs,
}

/// CPU for one connection in each slice, ns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cost {
    /// With nobody watching.
    pub(super) bare: Vec<f64>,
    /// What empty programs on the backend's hooks added.
    pub(super) floor_added: Vec<f64>,
    /// What the agent added.
    pub(super) agent_added: Vec<f64>,
    /// The agent's own, of all slices.
    pub(super) own: f64,
}

impl Cost {
    /// What the agent added in each slice, over the median of others.
    pub(super) fn over(&self, others: &[f64]) -> Vec<f64> {
        let median = Quartiles::of(others).map_or(0.0, |it| it.median);
        self.agent_added
            .iter()
            .map(|it| ratio(*it, median))
            .collect()
    }
}

/// One backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) backend: String,
    /// Those that the programs ran for.
    pub(super) connections: u64,
    pub(super) programs: Vec<Program>,
    pub(super) cost: Cost,
}

impl Found {
    /// Time in all programs of the agent for one connection, and in the empty ones, ns; the empty
    /// program of a hook once.
    pub(super) fn whole(&self) -> (f64, f64) {
        let ours: u64 = self.programs.iter().map(|it| it.ours.ns).sum();
        let by_hook = self.programs.iter().map(|it| (&it.hook, it.empty.ns));
        let empty: u64 = by_hook.collect::<BTreeMap<_, _>>().values().sum();
        let each = |ns| ratio(number(ns), number(self.connections));
        (each(ours), each(empty))
    }

    /// As a line of the guest.
    pub(super) fn line(self) -> Result<String> {
        Ok(serde_json::to_string(&Line { found: self })?)
    }

    /// Those among the lines of a guest.
    pub(super) fn among(said: &str) -> Result<Vec<Self>> {
        let is_one = |line: &&str| line.starts_with("{\"found\":");
        let read = |line| -> Result<Self> {
            let line: Line = serde_json::from_str(line).context("odd line of a guest")?;
            Ok(line.found)
        };
        said.lines().filter(is_one).map(read).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    found: Found,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(hook: &str, ours: u64, empty: u64) -> Program {
        let runs = |ns| Runs { count: 20, ns };
        Program {
            name: format!("p_{hook}"),
            hook: hook.to_owned(),
            ours: runs(ours),
            empty: runs(empty),
        }
    }

    fn found() -> Found {
        let programs = ["a", "a", "b"].map(|hook| program(hook, 300, 100));
        Found {
            backend: "kprobe".to_owned(),
            connections: 10,
            programs: programs.to_vec(),
            cost: Cost {
                bare: vec![10.0],
                floor_added: vec![2.0],
                agent_added: vec![5.0],
                own: 1.0,
            },
        }
    }

    #[test]
    fn what_is_added_is_over_the_median_of_the_slices() {
        let cost = Cost {
            agent_added: vec![4.0, 6.0],
            ..found().cost
        };
        assert_eq!(cost.over(&cost.floor_added), [2.0, 3.0]);
    }

    #[test]
    fn two_programs_of_one_hook_have_one_empty_one() {
        assert_eq!(found().whole(), (90.0, 20.0));
    }

    #[test]
    fn what_is_found_is_told_among_other_lines() {
        let line = found().line().unwrap();
        let said = format!("{{\"booted\": 1.5}}\n{line}\n{{\"exit\": 0}}\n");
        let told = Found::among(&said).unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].whole(), found().whole());
        Found::among("{\"found\":{\"backend\"").unwrap_err();
    }

    #[test]
    fn what_never_ran_has_no_time_of_a_run() {
        let earlier = Runs { count: 3, ns: 30 };
        let later = Runs { count: 5, ns: 100 };
        assert_eq!(later.since(earlier).each(), Some(35.0));
        assert_eq!(later.since(later).each(), None);
    }
}
