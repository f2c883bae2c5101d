//! The audit at work.
//!
//! Takes readings from their thread, verdicts and the tracker's outputs; hands what the
//! audit says to the metrics, `/status` and the log. Never reads a file and never waits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::audit::{Audit, Change, Facts, Mismatch};
use crate::classify::Verdict;
use crate::clock::Clock;
use crate::event::Timestamp;
use crate::netns::{Namespace, Reader};
use crate::sink::prometheus::Metrics;
use crate::track::Output;

/// An audit with the thread that reads for it.
#[derive(Debug)]
pub struct Auditor {
    audit: Audit,
    reader: Reader,
    names: Vec<String>,
    metrics: Arc<Metrics>,
}

impl Auditor {
    /// Starts to read. Call it once the probes are attached: the first reading is what all
    /// later ones are compared to.
    pub fn start(
        facts: Facts,
        namespaces: Vec<Namespace>,
        interval: Duration,
        clock: Arc<Clock>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let named = namespaces.iter().map(|it| (it.name.clone(), it.inode));
        let audit = Audit::new(facts, named);
        metrics.audit().leave_unexplained(audit.blind());
        metrics.audit().publish(audit.accounts());
        Ok(Self {
            audit,
            names: namespaces.iter().map(|it| it.name.clone()).collect(),
            reader: Reader::start(namespaces, interval, clock)?,
            metrics,
        })
    }

    /// What the tracker said.
    pub fn note_output(&mut self, output: &Output) {
        self.audit.note_output(output);
    }

    /// How a connection ended.
    pub fn note_verdict(&mut self, verdict: &Verdict) {
        self.audit.note_verdict(verdict);
    }

    /// Takes the readings that came, and judges those whose time has come. Everything that
    /// happened before `horizon` is known.
    pub fn round(&mut self, horizon: Timestamp) {
        let mut changed = false;
        while let Some((index, look)) = self.reader.next() {
            changed = true;
            let change = self.audit.take(index, look);
            if let (Some(change), Some(name)) = (change, self.names.get(index)) {
                tell_change(name, &change);
            }
        }
        for judgement in self.audit.judge(horizon) {
            changed = true;
            self.metrics.audit().count(&judgement);
            judgement.mismatches.iter().for_each(tell_mismatch);
        }
        if changed {
            self.metrics.audit().publish(self.audit.accounts());
        }
    }
}

fn tell_change(netns: &str, change: &Change) {
    match change {
        Change::Lost(problem) => warn!(
            netns,
            problem,
            "this network namespace is not audited for now; its books go on if it comes back"
        ),
        Change::Back => info!(netns, "this network namespace is audited again"),
        Change::Replaced => info!(
            netns,
            "the path names another network namespace than before; its books start anew"
        ),
    }
}

fn tell_mismatch(mismatch: &Mismatch) {
    let sum = mismatch.sum;
    warn!(
        netns = mismatch.name,
        counter = mismatch.counter.name(),
        kernel = sum.kernel,
        observed = sum.observed,
        unexplained = sum.unexplained,
        "the kernel counted otherwise than was observed: see audit at /status; if events were \
         lost (tcp_observer_events_lost_total) a larger --ring-size or a less busy CPU helps, if \
         a question is not answered `check` says why, else please report it with /status"
    );
}
