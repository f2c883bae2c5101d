//! The numbers of one census, and the gauges that show them.
//!
//! Takes numbers; gives metric families, made anew each time: a label value that is gone has no
//! series left.

use std::time::Duration;

use prometheus::core::{Collector as _, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::STATES;
use crate::classify::Role;
use crate::detect::Kind;
use crate::sink::names::{self, Metric};

/// What is shown of one census; nothing yet before the first.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// In the order of [`STATES`].
    pub(super) sockets: [u64; STATES.len()],
    /// In the order of [`Kind::ALL`].
    pub(super) findings: [u64; Kind::ALL.len()],
    /// Sockets by process.
    pub(super) leaked: Vec<(String, u64)>,
    pub(super) oldest: Duration,
    pub(super) ports_taken: f64,
    /// Shares by remote address and port.
    pub(super) destinations: Vec<(String, f64)>,
    pub(super) time_wait_of_clients: u64,
    pub(super) time_wait_of_servers: u64,
    pub(super) time_wait_share: f64,
    pub(super) whole: bool,
    /// Seconds since 1970.
    pub(super) at: f64,
    /// Seconds.
    pub(super) took: f64,
}

/// A value and its label value.
type Value = (String, f64);

impl Shown {
    pub(super) fn families(&self) -> Result<(Vec<Desc>, Vec<MetricFamily>), prometheus::Error> {
        let alone = |value: f64| vec![(String::new(), value)];
        let seconds = alone(self.oldest.as_secs_f64().floor());
        let (mut descriptions, mut families) = (Vec::new(), Vec::new());
        for (metric, values) in [
            (names::SOCKETS, self.by_state()),
            (names::FINDINGS, self.by_kind()),
            (names::LEAKED, self.by_comm()),
            (names::LEAKED_OLDEST, seconds),
            (names::PORTS_TAKEN, alone(self.ports_taken)),
            (names::DESTINATION_PORTS_TAKEN, self.destinations.clone()),
            (names::TIME_WAIT_SOCKETS, self.by_role()),
            (names::TIME_WAIT_SHARE, alone(self.time_wait_share)),
            (names::CENSUS_WHOLE, alone(f64::from(u8::from(self.whole)))),
            (names::CENSUS_AT, alone(self.at)),
            (names::CENSUS_DURATION, alone(self.took)),
        ] {
            let gauges = gauges(&metric, values)?;
            descriptions.extend(gauges.desc().into_iter().cloned());
            families.extend(gauges.collect());
        }
        families.retain(|family| !family.get_metric().is_empty());
        Ok((descriptions, families))
    }

    fn by_state(&self) -> Vec<Value> {
        let names = STATES.map(|state| state.name().to_ascii_lowercase());
        names.into_iter().zip(self.sockets.map(float)).collect()
    }

    fn by_kind(&self) -> Vec<Value> {
        let names = Kind::ALL.map(|kind| kind.label().to_owned());
        names.into_iter().zip(self.findings.map(float)).collect()
    }

    fn by_comm(&self) -> Vec<Value> {
        let values = self.leaked.iter();
        let mut values: Vec<Value> = values
            .map(|(comm, it)| (comm.clone(), float(*it)))
            .collect();
        if values.is_empty() {
            values.push((names::OTHER.to_owned(), 0.0));
        }
        values
    }

    fn by_role(&self) -> Vec<Value> {
        let name = |role: Role| role.label().to_owned();
        vec![
            (name(Role::Client), float(self.time_wait_of_clients)),
            (name(Role::Server), float(self.time_wait_of_servers)),
        ]
    }
}

/// The gauges of a metric with one label, or none.
fn gauges(metric: &Metric, values: Vec<Value>) -> Result<GaugeVec, prometheus::Error> {
    let gauges = GaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    for (label, value) in values {
        let labels: Vec<&str> = metric.labels.iter().map(|_| &*label).collect();
        gauges.with_label_values(&labels).set(value);
    }
    Ok(gauges)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a page has floats only, and counts of sockets are below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}
