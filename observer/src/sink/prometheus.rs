//! What is counted for Prometheus.
//!
//! Takes verdicts, event kinds and coverage; gives the text of `/metrics`. Every series
//! exists at 0 from the start. The label values of a counter are resolved once, so that
//! counting is one atomic addition at a fixed index.

use observer_ebpf::wire::Kind;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::names::{self, Metric};
use crate::classify::{Confidence, Ending, Phase, ResetCause, Role, Verdict};
use crate::probe::Coverage;
use crate::track::TimeWaitEnd;

/// Counts of one kind of record each, indexed by the kind's number.
pub type PerKind = [u64; Kind::SLOTS as usize];

/// The `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Every metric, ready to be counted from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Indexed by ending, then role.
    ended: Vec<Vec<IntCounter>>,
    verdicts: Vec<IntCounter>,
    resets_sent: Vec<IntCounter>,
    resets_received: IntCounter,
    time_wait_ended: Vec<IntCounter>,
    phases: Vec<Histogram>,
    abandoned: Vec<IntCounter>,
    /// In the order of [`Kind::ALL`], as is `lost`.
    events: Vec<IntCounter>,
    lost: Vec<IntCounter>,
    decode_errors: IntCounter,
    tracked: IntGauge,
    evictions: IntCounter,
    attached: IntGaugeVec,
    lines_lost: IntCounter,
}

impl Metrics {
    /// Every series at 0.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let ended = counters(&registry, &names::CONNECTIONS_ENDED)?;
        let build = gauges(&registry, &names::BUILD_INFO)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            ended: Ending::ALL
                .map(|ending| {
                    Role::ALL
                        .map(|role| ended.with_label_values(&[ending.label(), role.label()]))
                        .to_vec()
                })
                .to_vec(),
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
            phases: histograms(&registry)?,
            abandoned: series(&registry, &names::BYTES_ABANDONED, names::QUEUES)?,
            events: series(&registry, &names::EVENTS, Kind::ALL.map(Kind::label))?,
            lost: series(&registry, &names::EVENTS_LOST, Kind::ALL.map(Kind::label))?,
            decode_errors: counter(&registry, &names::DECODE_ERRORS)?,
            tracked: gauge(&registry, &names::TRACKED)?,
            evictions: counter(&registry, &names::EVICTIONS)?,
            attached: gauges(&registry, &names::PROBE_ATTACHED)?,
            lines_lost: counter(&registry, &names::LINES_LOST)?,
            registry,
        })
    }

    /// Says which twin answers which question.
    pub fn cover(&self, coverage: &Coverage) {
        for answer in &coverage.answers {
            for twin in names::TWINS {
                let answers = i64::from(answer.twin == Some(twin));
                self.attached
                    .with_label_values(&[answer.question, twin])
                    .set(answers);
            }
        }
    }

    /// Counts one ended connection.
    pub fn count_verdict(&self, verdict: &Verdict) {
        let by_role = self.ended.get(verdict.ending as usize);
        add(
            by_role.and_then(|roles| roles.get(verdict.role as usize)),
            1,
        );
        add(self.verdicts.get(verdict.confidence as usize), 1);
        for cause in &verdict.resets_sent {
            self.count_reset(*cause);
        }
        self.resets_received
            .inc_by(u64::from(verdict.reset_received));
        for (histogram, time) in self.phases.iter().zip(verdict.phases) {
            if let Some(time) = time {
                histogram.observe(time.as_secs_f64());
            }
        }
        let left = verdict.left_behind;
        for (queue, bytes) in self
            .abandoned
            .iter()
            .zip([left.unread, left.unsent, left.unacked])
        {
            queue.inc_by(u64::from(bytes.unwrap_or(0)));
        }
    }

    /// Counts one reset that this host sent.
    pub fn count_reset(&self, cause: ResetCause) {
        add(self.resets_sent.get(cause as usize), 1);
    }

    /// Counts one TIME_WAIT that is over.
    pub fn count_time_wait(&self, end: TimeWaitEnd) {
        add(self.time_wait_ended.get(names::how_index(end)), 1);
    }

    /// Counts events that came.
    pub fn count_events(&self, events: &PerKind) {
        add_per_kind(&self.events, events);
    }

    /// Counts events that did not come.
    pub fn count_lost(&self, lost: &PerKind) {
        add_per_kind(&self.lost, lost);
    }

    /// Counts records that are not events.
    pub fn count_decode_errors(&self, errors: u64) {
        self.decode_errors.inc_by(errors);
    }

    /// Says how many connection ends are followed, and how many were given up so far.
    pub fn track(&self, tracked: usize, evictions: u64) {
        self.tracked.set(i64::try_from(tracked).unwrap_or(i64::MAX));
        self.evictions
            .inc_by(evictions.saturating_sub(self.evictions.get()));
    }

    /// Counts lines that could not be written.
    pub fn count_lines_lost(&self, lines: u64) {
        self.lines_lost.inc_by(lines);
    }

    /// Counts as they stand, for `/status` and the last line of `trace`.
    pub fn standing(&self) -> Standing {
        Standing {
            lost: Kind::ALL
                .into_iter()
                .zip(self.lost.iter().map(IntCounter::get))
                .collect(),
            decode_errors: self.decode_errors.get(),
            tracked: u64::try_from(self.tracked.get()).unwrap_or(0),
            evictions: self.evictions.get(),
            lines_lost: self.lines_lost.get(),
            ended: self.verdicts.iter().map(IntCounter::get).sum(),
        }
    }

    /// The text of `/metrics`.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(32 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Some counts as they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Events lost, by kind.
    pub lost: Vec<(Kind, u64)>,
    /// Records that are not events.
    pub decode_errors: u64,
    /// Connection ends followed.
    pub tracked: u64,
    /// Connection ends given up.
    pub evictions: u64,
    /// Lines that could not be written.
    pub lines_lost: u64,
    /// Connection ends that ended.
    pub ended: u64,
}

fn add(counter: Option<&IntCounter>, count: u64) {
    if let Some(counter) = counter {
        counter.inc_by(count);
    }
}

fn add_per_kind(counters: &[IntCounter], counts: &PerKind) {
    for (kind, counter) in Kind::ALL.into_iter().zip(counters) {
        let count = counts.get(kind as usize).copied().unwrap_or(0);
        if count > 0 {
            counter.inc_by(count);
        }
    }
}

fn series<const N: usize>(
    registry: &Registry,
    metric: &Metric,
    values: [&str; N],
) -> Result<Vec<IntCounter>, prometheus::Error> {
    let counters = counters(registry, metric)?;
    Ok(values
        .map(|value| counters.with_label_values(&[value]))
        .to_vec())
}

fn counters(registry: &Registry, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
    let counters = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn counter(registry: &Registry, metric: &Metric) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(metric.name, metric.help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauges(registry: &Registry, metric: &Metric) -> Result<IntGaugeVec, prometheus::Error> {
    let gauges = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn gauge(registry: &Registry, metric: &Metric) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(metric.name, metric.help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn histograms(registry: &Registry) -> Result<Vec<Histogram>, prometheus::Error> {
    let metric = names::PHASE_DURATION;
    let options =
        HistogramOpts::new(metric.name, metric.help).buckets(names::PHASE_BUCKETS.to_vec());
    let histograms = HistogramVec::new(options, metric.labels)?;
    registry.register(Box::new(histograms.clone()))?;
    Ok(Phase::ALL
        .map(|phase| histograms.with_label_values(&[phase.label()]))
        .to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use expect_test::expect_file;

    use super::*;
    use crate::sink::sample;

    fn fresh() -> String {
        let metrics = Metrics::new().unwrap();
        metrics.cover(&sample::coverage());
        String::from_utf8(metrics.encode().unwrap()).unwrap()
    }

    #[test]
    fn a_fresh_page_has_every_series() {
        let page = fresh();
        let mut shape = String::new();
        for line in page.lines() {
            // What the process collector measures differs from run to run.
            let line = match line.split_once(' ') {
                Some((name, _)) if name.starts_with("process_") => name,
                _ => line,
            };
            shape += line;
            shape.push('\n');
        }
        expect_file!["../../testdata/metrics.txt"].assert_eq(&shape);
    }

    #[test]
    fn the_series_stay_within_their_budget() {
        // The sample has 2 questions; 12 are more than the agent asks.
        let count = fresh()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
            + 10 * names::TWINS.len();
        assert!(count <= 300, "{count} series");
    }

    #[test]
    fn a_verdict_counts_where_it_belongs() {
        let metrics = Metrics::new().unwrap();
        metrics.count_verdict(&sample::reset_with_unread_data());
        let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
        for line in [
            r#"tcp_observer_connections_ended_total{ending="reset_unread_data",role="server"} 1"#,
            r#"tcp_observer_verdicts_total{confidence="exact"} 1"#,
            r#"tcp_observer_resets_sent_total{cause="unread_data"} 1"#,
            r#"tcp_observer_bytes_abandoned_total{queue="unread"} 512"#,
            r#"tcp_observer_phase_duration_seconds_count{phase="established"} 1"#,
            r#"tcp_observer_phase_duration_seconds_count{phase="close_wait"} 0"#,
            "tcp_observer_resets_received_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
        let ended: Vec<_> = page
            .lines()
            .filter(|line| {
                line.starts_with("tcp_observer_connections_ended_total") && !line.ends_with(" 0")
            })
            .collect();
        assert_eq!(ended.len(), 1, "{ended:?}");
    }

    #[test]
    fn promtool_finds_nothing_to_say() {
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = promtool else {
            // `eprintln!` would be captured.
            writeln!(std::io::stderr(), "SKIPPED: promtool is not installed").unwrap();
            return;
        };
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(fresh().as_bytes())
            .unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
