//! Findings as one JSON object, and as one line each.
//!
//! Takes what the last census found and a query; gives the page at `/api/v1/findings`, or a
//! sentence that says what would be accepted. A key is never missing: what is not known is null.

mod buildup;
mod half_closed;
mod killed;
mod orphans;
mod ports;
mod race;
mod shared;
mod storm;
mod undrained;

use std::cmp::Reverse;

use serde::Serialize;

use super::board::Survey;
use super::json::SCHEMA;
use super::leaks;
use super::leaks::json::One;
use super::paging::{Paging, parts};
use super::stacks::Openers;
use crate::clock::Clock;
use crate::detect::{Finding, Kind, Matter};
pub(super) use buildup::Population;

/// Findings on a page unless told otherwise, and at most.
const LIMIT: usize = 200;

#[derive(Debug, Serialize)]
struct Page<'a> {
    schema: u32,
    /// When the census was over.
    taken_at: String,
    took_seconds: f64,
    complete: bool,
    not_seen: &'a [String],
    /// All that are raised.
    count: usize,
    /// Of those, how many are of the kind that was asked for.
    matched: usize,
    offset: usize,
    findings: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    kind: &'static str,
    /// What is the matter, in one line.
    title: String,
    raised_at: String,
    growth_per_minute: Option<f64>,
    #[serde(flatten)]
    detail: Detail<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Leak {
        #[serde(flatten)]
        one: One<'a>,
        #[serde(flatten)]
        openers: Openers<'a>,
    },
    Ports(ports::Ports<'a>),
    HalfClosed(half_closed::HalfClosed<'a>),
    Undrained(undrained::Undrained<'a>),
    Orphans(orphans::Orphans<'a>),
    Race(race::Race<'a>),
    Storm(storm::Storm<'a>),
    Killed(killed::Killed<'a>),
    Room(buildup::Room<'a>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    kind: Option<Kind>,
    paging: Paging,
}

impl Query {
    /// Reads `kind=close_wait_leak&limit=100&offset=0`; each may be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self {
            kind: None,
            paging: Paging::first(LIMIT),
        };
        for (key, value) in parts(text) {
            match key {
                "kind" => {
                    let known = Kind::ALL.into_iter().find(|it| it.label() == value);
                    let labels = Kind::ALL.map(Kind::label).join(", ");
                    let hint = || format!("kind={value}: expected one of {labels}");
                    query.kind = Some(known.ok_or_else(hint)?);
                }
                _ if query.paging.read(key, value)? => {}
                _ => return Err(format!("{key}: expected kind, limit or offset")),
            }
        }
        Ok(query)
    }
}

/// The page, the largest first, line end included.
pub fn page(survey: &Survey, query: Query, clock: &Clock) -> serde_json::Result<String> {
    let wanted = |it: &Finding| query.kind.is_none_or(|kind| it.matter.kind() == kind);
    let findings = survey.findings.iter();
    let mut findings: Vec<_> = findings.filter(|(_, it)| wanted(it)).collect();
    findings.sort_by_key(|(id, finding)| (Reverse(finding.matter.amount()), id));
    let page = Page {
        schema: SCHEMA,
        taken_at: survey.at.to_string(),
        took_seconds: survey.took.as_secs_f64(),
        complete: survey.missing.is_empty(),
        not_seen: &survey.missing,
        count: survey.findings.len(),
        matched: findings.len(),
        offset: query.paging.offset,
        findings: query
            .paging
            .of(findings.into_iter())
            .map(|(id, finding)| Line::new(id, finding, clock))
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

/// One line that says what is the matter.
pub fn title(matter: &Matter) -> String {
    match matter {
        Matter::CloseWaitLeak(leak) => {
            let (what, oldest) = (leaks::title(leak), leaks::text::age(leak.oldest));
            format!("CLOSE_WAIT leak: {what}, the oldest for {oldest}")
        }
        Matter::PortExhaustion(headroom) => ports::title(headroom),
        Matter::FinWait2Stall(half) => half_closed::title(half),
        Matter::ClosingStall(undrained) => undrained::title(undrained),
        Matter::OrphanPressure(pressure) => orphans::title(pressure),
        Matter::KeepaliveRace(race) => race::title(race),
        Matter::ResetStorm(storm) => storm::title(storm),
        Matter::ListenerClosed(killed) => killed::title(killed),
        Matter::TimeWaitBuildup(buildup) => buildup::title(buildup),
    }
}

impl<'a> Line<'a> {
    fn new(id: &'a str, finding: &'a Finding, clock: &Clock) -> Self {
        Self {
            kind: finding.matter.kind().label(),
            title: title(&finding.matter),
            raised_at: clock.wall(finding.raised_at).to_string(),
            growth_per_minute: finding.growth_per_minute(),
            detail: Detail::new(id, &finding.matter),
        }
    }
}

impl<'a> Detail<'a> {
    fn new(id: &'a str, matter: &'a Matter) -> Self {
        match matter {
            Matter::CloseWaitLeak(leak) => Self::Leak {
                one: One::new(leak),
                openers: Openers::new(&leak.opened),
            },
            Matter::PortExhaustion(headroom) => Self::Ports(ports::Ports::new(id, headroom)),
            Matter::FinWait2Stall(half) => Self::HalfClosed(half_closed::HalfClosed::new(id, half)),
            Matter::ClosingStall(undrained) => {
                Self::Undrained(undrained::Undrained::new(id, undrained))
            }
            Matter::OrphanPressure(pressure) => Self::Orphans(orphans::Orphans::new(id, pressure)),
            Matter::KeepaliveRace(race) => Self::Race(race::Race::new(id, race)),
            Matter::ResetStorm(storm) => Self::Storm(storm::Storm::new(id, storm)),
            Matter::ListenerClosed(killed) => Self::Killed(killed::Killed::new(id, killed)),
            Matter::TimeWaitBuildup(buildup) => Self::Room(buildup::Room::new(id, buildup)),
        }
    }
}

#[cfg(test)]
mod tests;
