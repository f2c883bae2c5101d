//! The text of `/metrics`, with what it says of itself.
//!
//! Takes what was gathered; gives the page. Nothing of it is kept, so scrapes at the same time
//! have nothing to share.

use prometheus::core::Collector as _;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use super::Bounds;
use super::register::alone;
use crate::sink::names::{self, Metric as Name};

/// The page, with how many series it has and can have.
pub(super) fn write(
    mut families: Vec<MetricFamily>,
    bounds: Bounds,
) -> Result<Vec<u8>, prometheus::Error> {
    // These two are on it too.
    let series = families.iter().map(series).sum::<usize>() + 2;
    families.extend(gauge(&names::SERIES, series)?);
    families.extend(gauge(&names::SERIES_LIMIT, bounds.series())?);
    let mut text = Vec::with_capacity(64 * 1024);
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

fn gauge(name: &Name, value: usize) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let gauge = alone(name)?;
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    Ok(gauge.collect())
}

fn series(family: &MetricFamily) -> usize {
    let is_histogram = family.get_field_type() == MetricType::HISTOGRAM;
    let series = |metric: &Metric| {
        // One more bucket has no upper bound, and there are a sum and a count.
        let buckets = metric.get_histogram().get_bucket().len();
        if is_histogram { buckets + 3 } else { 1 }
    };
    family.get_metric().iter().map(series).sum()
}
