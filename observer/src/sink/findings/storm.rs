//! A service whose connections mostly end with a reset.

use serde::Serialize;

use super::shared::{Count, For, counts};
use crate::detect;
use crate::sink::leaks::service;
use crate::sink::page::printable;

/// `reset storm: 120 of 150 connections to local port 80 were reset in the last minute, ...`
pub(super) fn title(storm: &detect::Storm) -> String {
    let (count, ended, service) = (storm.count, storm.ended, service(storm.service));
    let endings = storm.endings.first();
    let top = endings.map_or_else(String::new, |(ending, count)| {
        format!(", {count} of them {}", ending.label())
    });
    let by = storm.by.first().map_or_else(String::new, |(comm, count)| {
        format!("; {} has {count}", printable(comm))
    });
    format!(
        "reset storm: {count} of {ended} connections {service} that ended in the last minute were \
         reset{top}{by}"
    )
}

#[derive(Debug, Serialize)]
pub(super) struct Storm<'a> {
    id: &'a str,
    netns: u32,
    #[serde(flatten)]
    service: For,
    count: u64,
    ended: u64,
    endings: Vec<Count>,
    by: Vec<Count>,
    remedy: &'static str,
}

impl<'a> Storm<'a> {
    pub(super) fn new(id: &'a str, storm: &detect::Storm) -> Self {
        let endings = storm.endings.iter();
        let endings: Vec<_> = endings.map(|(it, count)| (it.label(), *count)).collect();
        Self {
            id,
            netns: storm.netns,
            service: For::new(storm.service),
            count: storm.count,
            ended: storm.ended,
            endings: counts(&endings),
            by: counts(&storm.by),
            remedy: storm.remedy(),
        }
    }
}
