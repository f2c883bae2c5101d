//! What the audit says, as series and as the accounts that `/status` shows.
//!
//! Takes judgements; every series of a namespace exists at 0 from the moment it is named. However
//! many there are, the series of their counters are bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::register::{counters, gauges};
use crate::audit::{Account, Counter, Judgement};
use crate::netns::OWN;
use crate::sink::names;
use crate::sink::names::OTHER;

/// Namespaces beside the agent's own whose counters have series of their own. Those of all others
/// are added up as [`OTHER`], which is up while each of them is.
pub const MOST_NAMED: usize = 4;

/// The series of the audit, and its accounts as they stand.
#[derive(Debug)]
pub struct AuditSeries {
    kernel: IntCounterVec,
    observed: IntCounterVec,
    unexplained: IntGaugeVec,
    up: IntGaugeVec,
    state: Mutex<State>,
}

/// Written by the event loop, read by `/status`.
#[derive(Debug, Default)]
struct State {
    /// The label under which each namespace is counted, in their order.
    labels: Vec<String>,
    blind: Vec<Counter>,
    accounts: Vec<Account>,
}

impl AuditSeries {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            kernel: counters(registry, &names::AUDIT_KERNEL)?,
            observed: counters(registry, &names::AUDIT_OBSERVED)?,
            unexplained: gauges(registry, &names::AUDIT_UNEXPLAINED)?,
            up: gauges(registry, &names::AUDIT_UP)?,
            state: Mutex::default(),
        })
    }

    /// Makes the series of the next namespace.
    pub fn name(&self, netns: &str) {
        let mut state = self.state();
        let named = state.labels.iter().filter(|label| *label != OWN).count();
        let netns = if named < MOST_NAMED || netns == OWN {
            netns
        } else {
            OTHER
        };
        self.set_up(netns, true);
        state.labels.push(netns.to_owned());
        for counter in Counter::ALL {
            let labels = [netns, counter.name()];
            self.kernel.with_label_values(&labels).reset();
            if counter.row().equals.is_some() {
                self.observed.with_label_values(&labels).reset();
                self.unexplained.with_label_values(&labels).set(0);
            }
        }
    }

    /// Takes away the series that would say that these counters are explained.
    pub fn leave_unexplained(&self, blind: Vec<Counter>) {
        let mut state = self.state();
        for (netns, counter) in all(&state.labels, &blind) {
            // One that nothing equals has no such series.
            drop(
                self.unexplained
                    .remove_label_values(&[netns, counter.name()]),
            );
        }
        state.blind = blind;
    }

    /// Adds what one interval of a namespace brought.
    pub fn count(&self, judgement: &Judgement) {
        let state = self.state();
        let Some(netns) = state.labels.get(judgement.index) else {
            return;
        };
        for line in &judgement.lines {
            let labels = [netns, line.counter.name()];
            if let Some(kernel) = line.interval.kernel {
                self.kernel.with_label_values(&labels).inc_by(kernel);
            }
            if let Some(observed) = line.interval.observed {
                self.observed.with_label_values(&labels).inc_by(observed);
            }
        }
    }

    /// The accounts as they stand from here on. What cannot be read, or starts anew, leaves
    /// nothing unexplained.
    pub fn publish(&self, accounts: Vec<Account>) {
        let mut state = self.state();
        let mut sums: BTreeMap<[&str; 2], i64> = BTreeMap::new();
        let mut up: BTreeMap<&str, bool> = BTreeMap::new();
        for (netns, account) in state.labels.iter().zip(&accounts) {
            *up.entry(netns).or_insert(true) &= account.problem.is_none();
            for counter in Counter::ALL {
                if counter.row().equals.is_some() && !state.blind.contains(&counter) {
                    let sum = sums.entry([netns, counter.name()]).or_default();
                    let unexplained = account.unexplained(counter);
                    // More in one namespace does not explain less in another.
                    *sum = if netns == OTHER {
                        sum.saturating_add(unexplained.saturating_abs())
                    } else {
                        unexplained
                    };
                }
            }
        }
        for (netns, up) in up {
            self.set_up(netns, up);
        }
        for (labels, sum) in sums {
            self.unexplained.with_label_values(&labels).set(sum);
        }
        state.accounts = accounts;
    }

    /// The agent's own namespace lives as long as the agent: it has no such series.
    fn set_up(&self, netns: &str, up: bool) {
        if netns != OWN {
            self.up.with_label_values(&[netns]).set(i64::from(up));
        }
    }

    /// The accounts as they stand.
    pub fn accounts(&self) -> Vec<Account> {
        self.state().accounts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all<'a>(
    labels: &'a [String],
    counters: &'a [Counter],
) -> impl Iterator<Item = (&'a str, Counter)> {
    let of_one = |netns: &'a String| counters.iter().map(|counter| (netns.as_str(), *counter));
    labels.iter().flat_map(of_one)
}
