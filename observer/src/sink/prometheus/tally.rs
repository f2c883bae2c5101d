//! What the event loop counts between two rounds.
//!
//! Takes verdicts and what else the tracker says; adds to plain numbers of its own at fixed
//! places, and tells the series that all threads share once a round.

use prometheus::local::{LocalHistogram, LocalIntCounter};
use prometheus::{Histogram, IntCounter};

use super::Metrics;
use super::owners::OwnersTally;
use super::ports::PortsTally;
use crate::classify::{Initiator, ResetCause, Role, Verdict};
use crate::sink::names;
use crate::track::TimeWaitEnd;

/// Counts that are not told yet. There is one for a [`Metrics`].
#[derive(Debug)]
pub struct Tally {
    /// Indexed by ending, then role.
    ended: Vec<[LocalIntCounter; Role::ALL.len()]>,
    /// Indexed by initiator, then role.
    initiated: Vec<[LocalIntCounter; Role::ALL.len()]>,
    owners: OwnersTally,
    ports: PortsTally,
    verdicts: Vec<LocalIntCounter>,
    resets_sent: Vec<LocalIntCounter>,
    resets_received: LocalIntCounter,
    time_wait_ended: Vec<LocalIntCounter>,
    time_wait_started: Vec<LocalIntCounter>,
    phases: Vec<LocalHistogram>,
    abandoned: Vec<LocalIntCounter>,
    /// Something is not told yet.
    counted: bool,
}

impl Tally {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let of_roles = |all: &Vec<[IntCounter; Role::ALL.len()]>| {
            let local =
                |roles: &[IntCounter; Role::ALL.len()]| roles.each_ref().map(IntCounter::local);
            all.iter().map(local).collect()
        };
        Self {
            ended: of_roles(&metrics.ended),
            initiated: of_roles(&metrics.initiated),
            owners: metrics.owners.tally(),
            ports: metrics.ports.tally(),
            verdicts: local(&metrics.verdicts),
            resets_sent: local(&metrics.resets_sent),
            resets_received: metrics.resets_received.local(),
            time_wait_ended: local(&metrics.time_wait_ended),
            time_wait_started: local(&metrics.time_wait_started),
            phases: metrics.phases.iter().map(Histogram::local).collect(),
            abandoned: local(&metrics.abandoned),
            counted: false,
        }
    }

    /// Counts one ended connection.
    pub fn count_verdict(&mut self, verdict: &Verdict) {
        self.counted = true;
        let role = verdict.role as usize;
        let by_role = self.ended.get(verdict.ending as usize);
        add(by_role.and_then(|roles| roles.get(role)));
        let initiator = verdict
            .initiator
            .map_or(Initiator::ALL.len(), |it| it as usize);
        let by_role = self.initiated.get(initiator);
        add(by_role.and_then(|roles| roles.get(role)));
        self.owners.count(verdict);
        self.ports.count(verdict);
        add(self.verdicts.get(verdict.confidence as usize));
        for cause in verdict.resets_sent.iter() {
            add(self.resets_sent.get(*cause as usize));
        }
        self.resets_received
            .inc_by(u64::from(verdict.reset_received));
        if verdict.holds_time_wait() {
            add(self.time_wait_started.get(role));
        }
        if verdict.found_no_port() {
            self.owners.count_no_port(verdict);
        }
        for (histogram, time) in self.phases.iter().zip(verdict.phases) {
            if let Some(time) = time {
                histogram.observe(time.as_secs_f64());
            }
        }
        let left = verdict.left_behind;
        let left = [left.unread, left.unsent, left.unacked];
        for (queue, bytes) in self.abandoned.iter().zip(left) {
            queue.inc_by(u64::from(bytes.unwrap_or(0)));
        }
    }

    /// Counts one reset that this host sent.
    pub fn count_reset(&mut self, cause: ResetCause) {
        self.counted = true;
        add(self.resets_sent.get(cause as usize));
    }

    /// Counts one TIME_WAIT that is over.
    pub fn count_time_wait(&mut self, end: TimeWaitEnd) {
        self.counted = true;
        add(self.time_wait_ended.get(names::how_index(end)));
    }

    /// Tells all that was counted since it was told last.
    pub fn flush(&mut self) {
        if !std::mem::take(&mut self.counted) {
            return;
        }
        self.owners.flush();
        self.ports.flush();
        let by_role = self.ended.iter().chain(&self.initiated).flatten();
        by_role
            .chain(&self.verdicts)
            .chain(&self.resets_sent)
            .chain([&self.resets_received])
            .chain(&self.time_wait_ended)
            .chain(&self.time_wait_started)
            .chain(&self.abandoned)
            .for_each(LocalIntCounter::flush);
        self.phases.iter().for_each(LocalHistogram::flush);
    }
}

fn local(counters: &[IntCounter]) -> Vec<LocalIntCounter> {
    counters.iter().map(IntCounter::local).collect()
}

fn add(counter: Option<&LocalIntCounter>) {
    if let Some(counter) = counter {
        counter.inc();
    }
}
