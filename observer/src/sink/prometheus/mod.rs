//! What is counted for Prometheus.
//!
//! Takes verdicts, event kinds and coverage; gives the text of `/metrics`. Every series
//! exists at 0 from the start. The label values of a counter are resolved once, so that
//! counting is one atomic addition at a fixed index.

mod audit;
mod bounds;
mod census;
mod few;
mod owners;
mod page;
mod ports;
mod register;
mod tally;

use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::Question;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

pub use self::audit::{AuditSeries, MOST_NAMED};
pub use self::bounds::Bounds;
pub use self::census::{CensusSeries, Watched};
use self::owners::Owners;
use self::ports::Ports;
use self::register::{counter, counters, gauges, gauges_of, histograms, series};
pub use self::tally::Tally;
use super::names::{self, Cause};
use crate::budget::Level;
use crate::classify::{Confidence, Ending, Phase, ResetCause, Role};
use crate::probe::Coverage;
use crate::track::Tracked;

/// Counts of one kind of record each, indexed by the kind's number.
pub type PerKind = [u64; Kind::SLOTS as usize];

/// The `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Every metric, ready to be counted from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Indexed by ending, then role.
    ended: Vec<[IntCounter; Role::ALL.len()]>,
    /// Indexed by initiator, then role.
    initiated: Vec<[IntCounter; Role::ALL.len()]>,
    owners: Owners,
    ports: Ports,
    verdicts: Vec<IntCounter>,
    resets_sent: Vec<IntCounter>,
    resets_received: IntCounter,
    time_wait_ended: Vec<IntCounter>,
    /// Indexed by role.
    time_wait_started: Vec<IntCounter>,
    phases: Vec<Histogram>,
    abandoned: Vec<IntCounter>,
    /// In the order of [`Kind::ALL`], as is each of `lost`.
    events: Vec<IntCounter>,
    /// Indexed by cause.
    lost: [Vec<IntCounter>; names::LOSSES.len()],
    decode_errors: IntCounter,
    /// Of open connections and of closing ones.
    tracked: [IntGauge; 2],
    evictions: IntCounter,
    stacks_dropped: IntCounter,
    /// In the order of [`Level::ALL`].
    shed: [IntGauge; Level::ALL.len()],
    attached: IntGaugeVec,
    lines_lost: IntCounter,
    audit: AuditSeries,
    census: CensusSeries,
    bounds: Bounds,
}

impl Metrics {
    /// Every series at 0, and no more of them than these bounds allow.
    pub fn new(bounds: Bounds) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let ended = counters(&registry, &names::CONNECTIONS_ENDED)?;
        let initiated = counters(&registry, &names::INITIATED)?;
        let phases = histograms(&registry, &names::PHASE_DURATION)?;
        let attached = gauges(&registry, &names::PROBE_ATTACHED)?;
        for question in Question::ALL {
            for twin in names::TWINS {
                attached
                    .with_label_values(&[question.label(), twin.label()])
                    .set(0);
            }
        }
        let lost = counters(&registry, &names::EVENTS_LOST)?;
        let build = gauges(&registry, &names::BUILD_INFO)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            ended: by_role(&ended, &Ending::ALL.map(Ending::label)),
            initiated: by_role(&initiated, &names::INITIATORS),
            owners: Owners::new(&registry, bounds.owners)?,
            ports: Ports::new(&registry, bounds.ports)?,
            verdicts: series(
                &registry,
                &names::VERDICTS,
                Confidence::ALL.map(Confidence::label),
            )?,
            resets_sent: series(
                &registry,
                &names::RESETS_SENT,
                ResetCause::ALL.map(ResetCause::label),
            )?,
            resets_received: counter(&registry, &names::RESETS_RECEIVED)?,
            time_wait_ended: series(&registry, &names::TIME_WAIT_ENDED, names::HOW)?,
            time_wait_started: series(
                &registry,
                &names::TIME_WAIT_STARTED,
                Role::ALL.map(Role::label),
            )?,
            phases: Phase::ALL
                .map(|phase| phases.with_label_values(&[phase.label()]))
                .to_vec(),
            abandoned: series(&registry, &names::BYTES_ABANDONED, names::QUEUES)?,
            events: series(&registry, &names::EVENTS, Kind::ALL.map(Kind::label))?,
            lost: names::LOSSES.map(|cause| {
                Kind::ALL
                    .map(|kind| lost.with_label_values(&[kind.label(), cause]))
                    .to_vec()
            }),
            decode_errors: counter(&registry, &names::DECODE_ERRORS)?,
            tracked: gauges_of(&registry, &names::TRACKED, names::STAGES)?,
            evictions: counter(&registry, &names::EVICTIONS)?,
            stacks_dropped: counter(&registry, &names::STACKS_DROPPED)?,
            shed: gauges_of(&registry, &names::SHED, Level::ALL.map(Level::label))?,
            attached,
            lines_lost: counter(&registry, &names::LINES_LOST)?,
            audit: AuditSeries::new(&registry)?,
            census: CensusSeries::new(&registry, bounds)?,
            bounds,
            registry,
        })
    }

    /// Says which twin answers which question.
    pub fn cover(&self, coverage: &Coverage) {
        for answer in &coverage.answers {
            for twin in names::TWINS {
                let twin = twin.label();
                let answers = i64::from(answer.twin == Some(twin));
                self.attached
                    .with_label_values(&[answer.question, twin])
                    .set(answers);
            }
        }
    }

    /// What counts what the tracker says. Of two, each would give names series of their own.
    pub fn tally(&self) -> Tally {
        Tally::new(self)
    }

    /// Counts events that came.
    pub fn count_events(&self, events: &PerKind) {
        add_per_kind(&self.events, events);
    }

    /// Counts events that did not come.
    pub fn count_lost(&self, cause: Cause, lost: &PerKind) {
        if let Some(counters) = self.lost.get(cause as usize) {
            add_per_kind(counters, lost);
        }
    }

    /// Counts records that are not events.
    pub fn count_decode_errors(&self, errors: u64) {
        self.decode_errors.inc_by(errors);
    }

    /// Says how many connection ends are followed, and how many were given up so far.
    pub fn track(&self, tracked: Tracked, evictions: u64) {
        for (gauge, tracked) in self.tracked.iter().zip([tracked.open, tracked.closing]) {
            gauge.set(i64::try_from(tracked).unwrap_or(i64::MAX));
        }
        self.evictions
            .inc_by(evictions.saturating_sub(self.evictions.get()));
    }

    /// Says how many stacks of openers found no room so far.
    pub fn drop_stacks(&self, dropped: u64) {
        self.stacks_dropped
            .inc_by(dropped.saturating_sub(self.stacks_dropped.get()));
    }

    fn shed_now(&self) -> Vec<&'static str> {
        let details = self.shed.iter().zip(Level::ALL);
        let shed = details.filter(|(gauge, _)| gauge.get() > 0);
        shed.map(|(_, detail)| detail.label()).collect()
    }

    /// Whether events are left out now.
    pub fn sheds_events(&self) -> bool {
        let [.., events] = &self.shed;
        events.get() > 0
    }

    /// Says what is left out.
    pub fn shed(&self, level: Level) {
        for (gauge, detail) in self.shed.iter().zip(Level::ALL) {
            gauge.set(i64::from(detail <= level));
        }
    }

    /// Counts lines that could not be written.
    pub fn count_lines_lost(&self, lines: u64) {
        self.lines_lost.inc_by(lines);
    }

    /// The series of the audit.
    pub fn audit(&self) -> &AuditSeries {
        &self.audit
    }

    /// The series of the census.
    pub fn census(&self) -> &CensusSeries {
        &self.census
    }

    /// Counts as they stand, for `/status` and the last line of `trace`.
    pub fn standing(&self) -> Standing {
        let of_kind = |at: usize| {
            let counters = self.lost.iter().filter_map(|cause| cause.get(at));
            counters.map(IntCounter::get).sum()
        };
        let [open, closing] = &self.tracked;
        Standing {
            lost: Kind::ALL
                .into_iter()
                .enumerate()
                .map(|(at, kind)| (kind, of_kind(at)))
                .collect(),
            decode_errors: self.decode_errors.get(),
            open: u64::try_from(open.get()).unwrap_or(0),
            closing: u64::try_from(closing.get()).unwrap_or(0),
            evictions: self.evictions.get(),
            shed: self.shed_now(),
            lines_lost: self.lines_lost.get(),
            ended: self.verdicts.iter().map(IntCounter::get).sum(),
        }
    }

    /// The text of `/metrics`.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        page::write(self.registry.gather(), self.bounds)
    }
}

/// The series of these values of a label and each role.
fn by_role(counters: &IntCounterVec, values: &[&str]) -> Vec<[IntCounter; Role::ALL.len()]> {
    let of_value = |value: &&str| {
        let of_role = |role: Role| counters.with_label_values(&[*value, role.label()]);
        Role::ALL.map(of_role)
    };
    values.iter().map(of_value).collect()
}

/// Some counts as they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Events lost, by kind.
    pub lost: Vec<(Kind, u64)>,
    /// Records that are not events.
    pub decode_errors: u64,
    /// Open connection ends followed.
    pub open: u64,
    /// Closing connection ends followed.
    pub closing: u64,
    /// Connection ends given up.
    pub evictions: u64,
    /// What is left out to keep to the budget.
    pub shed: Vec<&'static str>,
    /// Lines that could not be written.
    pub lines_lost: u64,
    /// Connection ends that ended.
    pub ended: u64,
}

fn add_per_kind(counters: &[IntCounter], counts: &PerKind) {
    for (kind, counter) in Kind::ALL.into_iter().zip(counters) {
        let count = counts.get(kind as usize).copied().unwrap_or(0);
        if count > 0 {
            counter.inc_by(count);
        }
    }
}

#[cfg(test)]
mod tests;
