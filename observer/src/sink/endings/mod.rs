//! How connections ended in the last minutes, as one JSON object.
//!
//! Takes what was counted and a query; gives the page at `/api/v1/endings`, or a sentence that
//! says what would be accepted. A key is never missing: what is not known is null.

mod history;

use std::cmp::Reverse;

use serde::Serialize;

use self::history::{Counts, Lately, Notable, SLOT, SLOTS};
use super::json::{By, LeftBehind, SCHEMA};
use super::paging::{Paging, parts};
use crate::classify::{Closer, Ending, Group, Initiator, Role};
use crate::clock::Clock;
use crate::event::Timestamp;

pub use self::history::{History, Notes};

/// Ended connections on a page unless told otherwise, and at most.
const LIMIT: usize = 100;

/// Slots of a minute, of five and of fifteen, and the one that is not over.
const MINUTE: usize = 7;
const FIVE_MINUTES: usize = 31;

#[derive(Debug, Serialize)]
struct Page<'a> {
    schema: u32,
    /// When it was asked for.
    taken_at: String,
    /// Whether no event was lost in these minutes.
    complete: bool,
    /// Since when endings are counted; null before the probes are attached.
    since: Option<String>,
    seconds_per_slot: u64,
    /// Every group.
    groups: Vec<OfGroup>,
    /// Those that came, the most first.
    endings: Vec<OfEnding>,
    /// Ended connections that are kept.
    count: usize,
    /// Of those, how many are of the ending or group that was asked for.
    matched: usize,
    offset: usize,
    /// The newest first.
    recent: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct OfGroup {
    group: &'static str,
    #[serde(flatten)]
    sums: Sums,
    /// The oldest first; the last is not over.
    slots: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct OfEnding {
    ending: &'static str,
    group: &'static str,
    #[serde(flatten)]
    sums: Sums,
    /// Of the last 15 minutes.
    by_role: ByRole,
    meaning: &'static str,
    cause: &'static str,
    look_next: &'static str,
}

/// Each up to a slot more.
#[expect(clippy::struct_field_names, reason = "the fields are the JSON keys")]
#[derive(Clone, Copy, Debug, Serialize)]
struct Sums {
    last_minute: u64,
    last_5_minutes: u64,
    last_15_minutes: u64,
}

#[derive(Debug, Serialize)]
struct ByRole {
    client: u64,
    server: u64,
    unknown: u64,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    ended_at: String,
    ending: &'static str,
    group: &'static str,
    role: &'static str,
    initiator: Option<&'static str>,
    closer: Option<&'static str>,
    local: Option<String>,
    peer: Option<String>,
    netns: Option<u32>,
    pid: Option<u32>,
    comm: Option<&'a str>,
    opened_by: Option<By<'a>>,
    duration: Option<f64>,
    time_wait: &'static str,
    left_behind: LeftBehind,
    confidence: &'static str,
    doubt: Option<&'static str>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    ending: Option<Ending>,
    group: Option<Group>,
    paging: Paging,
}

impl Query {
    /// Reads `ending=peer_reset&group=reset_received&limit=100&offset=0`; each may be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self {
            ending: None,
            group: None,
            paging: Paging::first(LIMIT),
        };
        for (key, value) in parts(text) {
            match key {
                "ending" => {
                    let known = Ending::from_label(value);
                    let hint =
                        || format!("ending={value}: unknown; `tcp-observer explain` lists all");
                    query.ending = Some(known.ok_or_else(hint)?);
                }
                "group" => {
                    let known = Group::ALL.into_iter().find(|it| it.label() == value);
                    let labels = Group::ALL.map(Group::label).join(", ");
                    let hint = || format!("group={value}: expected one of {labels}");
                    query.group = Some(known.ok_or_else(hint)?);
                }
                _ if query.paging.read(key, value)? => {}
                _ => return Err(format!("{key}: expected ending, group, limit or offset")),
            }
        }
        Ok(query)
    }

    fn wants(&self, notable: &Notable) -> bool {
        let ending = notable.ending;
        self.ending.is_none_or(|it| it == ending)
            && self.group.is_none_or(|it| it == ending.group())
    }
}

/// The page, line end included.
pub fn page(
    history: &History,
    query: Query,
    now: Timestamp,
    clock: &Clock,
) -> serde_json::Result<String> {
    let lately = history.lately(now);
    let recent = lately.recent.iter();
    let matched: Vec<_> = recent.filter(|it| query.wants(it)).collect();
    let page = Page {
        schema: SCHEMA,
        taken_at: clock.wall(now).to_string(),
        complete: !lately.lossy,
        since: lately.since.map(|at| clock.wall(at).to_string()),
        seconds_per_slot: SLOT.as_secs(),
        groups: Group::ALL.map(|group| OfGroup::new(&lately, group)).into(),
        endings: OfEnding::all(&lately),
        count: lately.recent.len(),
        matched: matched.len(),
        offset: query.paging.offset,
        recent: query
            .paging
            .of(matched.into_iter())
            .map(|it| Line::new(it, clock))
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

impl Sums {
    /// Of counts of each slot, the oldest first.
    fn new(slots: &[u64]) -> Self {
        let sum = |last| slots.iter().rev().take(last).sum();
        Self {
            last_minute: sum(MINUTE),
            last_5_minutes: sum(FIVE_MINUTES),
            last_15_minutes: sum(SLOTS),
        }
    }
}

impl OfGroup {
    fn new(lately: &Lately, group: Group) -> Self {
        let all = || Ending::ALL.into_iter().filter(|it| it.group() == group);
        let slots = lately.slots.iter();
        let slots: Vec<u64> = slots
            .map(|it| all().map(|ending| of_ending(it, ending)).sum())
            .collect();
        Self {
            group: group.label(),
            sums: Sums::new(&slots),
            slots,
        }
    }
}

impl OfEnding {
    fn all(lately: &Lately) -> Vec<Self> {
        let all = Ending::ALL.map(|ending| Self::new(lately, ending));
        let mut all: Vec<Self> = all.into();
        all.retain(|it| it.sums.last_15_minutes > 0);
        all.sort_by_key(|it| Reverse(it.sums.last_15_minutes));
        all
    }

    fn new(lately: &Lately, ending: Ending) -> Self {
        let slots = lately.slots.iter();
        let counts: Vec<u64> = slots.clone().map(|it| of_ending(it, ending)).collect();
        let of_role = |role| slots.clone().map(|it| of_both(it, ending, role)).sum();
        Self {
            ending: ending.label(),
            group: ending.group().label(),
            sums: Sums::new(&counts),
            by_role: ByRole {
                client: of_role(Role::Client),
                server: of_role(Role::Server),
                unknown: of_role(Role::Unknown),
            },
            meaning: ending.meaning(),
            cause: ending.cause(),
            look_next: ending.look_next(),
        }
    }
}

fn of_ending(counts: &Counts, ending: Ending) -> u64 {
    let roles = Role::ALL.into_iter();
    roles.map(|role| of_both(counts, ending, role)).sum()
}

fn of_both(counts: &Counts, ending: Ending, role: Role) -> u64 {
    let roles = counts.get(ending as usize);
    let count = roles.and_then(|it| it.get(role as usize));
    count.copied().unwrap_or_default().into()
}

impl<'a> Line<'a> {
    fn new(notable: &'a Notable, clock: &Clock) -> Self {
        let closed_by = notable.closed_by.as_ref();
        let born_at = notable.born_at;
        Self {
            ended_at: format!("{:.3}", clock.wall(notable.ended_at)),
            ending: notable.ending.label(),
            group: notable.ending.group().label(),
            role: notable.role.label(),
            initiator: notable.initiator.map(Initiator::label),
            closer: notable.closer.map(Closer::label),
            local: notable.ends.map(|ends| ends.local.to_string()),
            peer: notable.ends.map(|ends| ends.peer.to_string()),
            netns: Some(notable.netns).filter(|inode| *inode != 0),
            pid: closed_by.map(|task| task.pid),
            comm: closed_by.map(|task| &*task.comm),
            opened_by: notable.opened_by.as_ref().map(By::new),
            duration: born_at.map(|born| notable.ended_at.since(born).as_secs_f64()),
            time_wait: notable.time_wait.label(),
            left_behind: LeftBehind::new(notable.left_behind),
            confidence: notable.confidence.label(),
            doubt: notable.doubt,
        }
    }
}

#[cfg(test)]
mod tests;
