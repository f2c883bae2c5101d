//! How connections ended and how long applications took to close them, by listening port.
//!
//! Takes ended server connections; the first ports that matter have series of their own, all
//! others share one, so that no scan of ports can make more.

use std::sync::{Mutex, PoisonError};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::few::{Few, MATTERS_FROM};
use super::register::{counters, histograms};
use crate::classify::{Group, Phase, Role, Verdict};
use crate::sink::names;

/// The series.
#[derive(Debug)]
pub(super) struct Ports {
    ended: IntCounterVec,
    close_wait: HistogramVec,
    other: Port,
    named: Mutex<Few<u16, Port>>,
}

/// Those of one port.
#[derive(Debug)]
struct Port {
    /// Indexed by group.
    ended: Vec<IntCounter>,
    close_wait: Histogram,
}

impl Ports {
    pub(super) fn new(registry: &Registry, most: usize) -> Result<Self, prometheus::Error> {
        let ended = counters(registry, &names::PORT_ENDED)?;
        let close_wait = histograms(registry, &names::CLOSE_WAIT_DURATION)?;
        Ok(Self {
            other: Port::new(names::OTHER, &ended, &close_wait),
            named: Mutex::new(Few::new(most, MATTERS_FROM)),
            ended,
            close_wait,
        })
    }

    /// A connection ended; of one that this host began nothing is counted.
    pub(super) fn count(&self, verdict: &Verdict) {
        let (Role::Server, Some(ends)) = (verdict.role, verdict.ends) else {
            return;
        };
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let make = |port: &u16| Port::new(&port.to_string(), &self.ended, &self.close_wait);
        let own = named.of(&ends.local.port(), |port| *port, make);
        own.unwrap_or(&self.other).count(verdict);
    }
}

impl Port {
    fn new(label: &str, ended: &IntCounterVec, close_wait: &HistogramVec) -> Self {
        Self {
            ended: Group::ALL
                .map(|group| ended.with_label_values(&[label, group.label()]))
                .to_vec(),
            close_wait: close_wait.with_label_values(&[label]),
        }
    }

    fn count(&self, verdict: &Verdict) {
        super::add(self.ended.get(verdict.ending.group() as usize), 1);
        let waited = verdict.phases.get(Phase::CloseWait as usize);
        if let Some(Some(waited)) = waited {
            self.close_wait.observe(waited.as_secs_f64());
        }
    }
}
