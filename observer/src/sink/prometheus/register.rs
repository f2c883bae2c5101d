//! Registers metrics under the names, labels and helps of [`names`].

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::sink::names::{self, Metric};

pub(super) fn series<const N: usize>(
    registry: &Registry,
    metric: &Metric,
    values: [&str; N],
) -> Result<Vec<IntCounter>, prometheus::Error> {
    let counters = counters(registry, metric)?;
    Ok(values
        .map(|value| counters.with_label_values(&[value]))
        .to_vec())
}

pub(super) fn counters(
    registry: &Registry,
    metric: &Metric,
) -> Result<IntCounterVec, prometheus::Error> {
    let counters = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

pub(super) fn counter(
    registry: &Registry,
    metric: &Metric,
) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(metric.name, metric.help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

pub(super) fn gauges(
    registry: &Registry,
    metric: &Metric,
) -> Result<IntGaugeVec, prometheus::Error> {
    let gauges = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

/// The gauges of these values of the one label.
pub(super) fn gauges_of<const N: usize>(
    registry: &Registry,
    metric: &Metric,
    values: [&str; N],
) -> Result<[IntGauge; N], prometheus::Error> {
    let gauges = gauges(registry, metric)?;
    Ok(values.map(|value| gauges.with_label_values(&[value])))
}

/// One that is not registered.
pub(super) fn alone(metric: &Metric) -> Result<IntGauge, prometheus::Error> {
    IntGauge::new(metric.name, metric.help)
}

pub(super) fn histograms(
    registry: &Registry,
    metric: &Metric,
) -> Result<HistogramVec, prometheus::Error> {
    let options =
        HistogramOpts::new(metric.name, metric.help).buckets(names::PHASE_BUCKETS.to_vec());
    let histograms = HistogramVec::new(options, metric.labels)?;
    registry.register(Box::new(histograms.clone()))?;
    Ok(histograms)
}
