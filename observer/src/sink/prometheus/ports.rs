//! How connections ended and how long applications took to close them, by listening port.
//!
//! Takes ended server connections; the first ports that matter have series of their own, all
//! others share one, so that no scan of ports can make more.

use prometheus::local::{LocalHistogram, LocalIntCounter};
use prometheus::{HistogramVec, IntCounterVec, Registry};

use super::few::{Few, MATTERS_FROM};
use super::register::{counters, histograms};
use crate::classify::{Group, Phase, Role, Verdict};
use crate::sink::names;

/// The series.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    ended: IntCounterVec,
    close_wait: HistogramVec,
    most: usize,
}

/// What is counted and not yet told.
#[derive(Debug)]
pub(super) struct PortsTally {
    series: Ports,
    other: Port,
    named: Few<u16, Port>,
}

/// The series of one port.
#[derive(Debug)]
struct Port {
    /// Indexed by group.
    ended: [LocalIntCounter; Group::ALL.len()],
    close_wait: LocalHistogram,
}

impl Ports {
    pub(super) fn new(registry: &Registry, most: usize) -> Result<Self, prometheus::Error> {
        let ports = Self {
            ended: counters(registry, &names::PORT_ENDED)?,
            close_wait: histograms(registry, &names::CLOSE_WAIT_DURATION)?,
            most,
        };
        // Makes the series that are always there.
        drop(ports.tally());
        Ok(ports)
    }

    pub(super) fn tally(&self) -> PortsTally {
        PortsTally {
            other: Port::new(names::OTHER, self),
            named: Few::new(self.most, MATTERS_FROM),
            series: self.clone(),
        }
    }
}

impl PortsTally {
    /// A connection ended; of one that this host began nothing is counted.
    pub(super) fn count(&mut self, verdict: &Verdict) {
        let (Role::Server, Some(ends)) = (verdict.role, verdict.ends) else {
            return;
        };
        let make = |port: &u16| Port::new(&port.to_string(), &self.series);
        let own = self.named.of(&ends.local.port(), make);
        own.unwrap_or(&self.other).count(verdict);
    }

    pub(super) fn flush(&self) {
        for port in self.named.all().iter().chain([&self.other]) {
            port.ended.iter().for_each(LocalIntCounter::flush);
            port.close_wait.flush();
        }
    }
}

impl Port {
    fn new(label: &str, series: &Ports) -> Self {
        let ended = |group: Group| {
            let labels = [label, group.label()];
            series.ended.with_label_values(&labels).local()
        };
        Self {
            ended: Group::ALL.map(ended),
            close_wait: series.close_wait.with_label_values(&[label]).local(),
        }
    }

    fn count(&self, verdict: &Verdict) {
        if let Some(ended) = self.ended.get(verdict.ending.group() as usize) {
            ended.inc();
        }
        let waited = verdict.phases.get(Phase::CloseWait as usize);
        if let Some(Some(waited)) = waited {
            self.close_wait.observe(waited.as_secs_f64());
        }
    }
}
