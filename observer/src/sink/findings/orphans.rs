//! Orphans of the host against what it bears.

use serde::Serialize;

use super::shared::{Count, closers, counts};
use crate::detect::OrphanPressure;
use crate::sink::leaks::service;

/// `orphan pressure: the host has 70000 of at most 131072 orphans; closed by nginx (12)`
pub(super) fn title(pressure: &OrphanPressure) -> String {
    let (count, most) = (pressure.count, pressure.most);
    let closers = closers(&pressure.closed_by);
    format!("orphan pressure: the host has {count} orphans and bears {most}{closers}")
}

#[derive(Debug, Serialize)]
pub(super) struct Orphans<'a> {
    id: &'a str,
    netns: Option<u32>,
    count: u64,
    #[serde(rename = "tcp_max_orphans")]
    most: u64,
    /// Those that the census saw one by one.
    seen: usize,
    closed_by: Vec<Count>,
    services: Vec<Count>,
    remedy: &'static str,
}

impl<'a> Orphans<'a> {
    pub(super) fn new(id: &'a str, pressure: &OrphanPressure) -> Self {
        let services = pressure.services.iter();
        let services: Vec<_> = services.map(|(it, count)| (service(*it), *count)).collect();
        Self {
            id,
            netns: None,
            count: pressure.count,
            most: pressure.most,
            seen: pressure.seen,
            closed_by: counts(&pressure.closed_by),
            services: counts(&services),
            remedy: pressure.remedy(),
        }
    }
}
