//! One ended connection as one JSON object.
//!
//! The fields of [`Line`] are the keys, spelled here and nowhere else. A key is never
//! missing: what is not known is null.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::classify::{self, Closer, Counts, Initiator, Phase, Verdict};
use crate::clock::Clock;
use crate::event::{State, Task, Timestamp};

/// Raised when a key changes its meaning or goes away; a new key does not raise it.
pub const SCHEMA: u32 = 1;

/// The object.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    schema: u32,
    ended_at: String,
    ending: &'static str,
    role: &'static str,
    initiator: Option<&'static str>,
    closer: Option<&'static str>,
    half_closed: Option<bool>,
    local: Option<String>,
    peer: Option<String>,
    netns: Option<u32>,
    cgroup: Option<u64>,
    cookie: Option<u64>,
    pid: Option<u32>,
    comm: Option<&'a str>,
    opened_by: Option<By<'a>>,
    duration: Option<f64>,
    time_wait: &'static str,
    left_behind: LeftBehind,
    phases: Phases<'a>,
    resets_sent: Vec<&'static str>,
    counters: Moved<'a>,
    reset_received: bool,
    reset_reason: Option<&'a str>,
    error: u16,
    attributes: Vec<&'static str>,
    confidence: &'static str,
    doubt: Option<&'static str>,
    timeline: Vec<Moment<'a>>,
    timeline_dropped: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct LeftBehind {
    unread: Option<u32>,
    unsent: Option<u32>,
    unacked: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Moment<'a> {
    at: f64,
    event: &'static str,
    state: Option<State>,
    by: Option<By<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct By<'a> {
    pid: u32,
    comm: &'a str,
}

/// Seconds in each phase, under the phase's label.
#[derive(Debug)]
struct Phases<'a>(&'a [Option<Duration>]);

impl Serialize for Phases<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Phase::ALL.len()))?;
        for (phase, time) in Phase::ALL.into_iter().zip(self.0) {
            map.serialize_entry(phase.label(), &time.map(|time| time.as_secs_f64()))?;
        }
        map.end()
    }
}

/// How much it moved each counter of the kernel, under the kernel's names; those that it did
/// not move are left out.
#[derive(Debug)]
struct Moved<'a>(&'a Counts);

impl Serialize for Moved<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .moved()
                .map(|(counter, count)| (counter.label(), count)),
        )
    }
}

impl<'a> Line<'a> {
    /// What is said of this verdict.
    pub fn new(verdict: &'a Verdict, clock: &Clock) -> Self {
        let closed_by = verdict.closed_by.as_ref();
        Self {
            schema: SCHEMA,
            ended_at: format!("{:.9}", clock.wall(verdict.ended_at)),
            ending: verdict.ending.label(),
            role: verdict.role.label(),
            initiator: verdict.initiator.map(Initiator::label),
            closer: verdict.closer.map(Closer::label),
            half_closed: verdict.half_closed,
            local: verdict.ends.map(|ends| ends.local.to_string()),
            peer: verdict.ends.map(|ends| ends.peer.to_string()),
            netns: Some(verdict.netns).filter(|inode| *inode != 0),
            cgroup: verdict.cgroup,
            cookie: verdict.cookie,
            pid: closed_by.map(|task| task.pid),
            comm: closed_by.map(|task| &*task.comm),
            opened_by: verdict.opened_by.as_ref().map(By::new),
            duration: verdict
                .born_at
                .map(|born| verdict.ended_at.since(born).as_secs_f64()),
            time_wait: verdict.time_wait.label(),
            left_behind: LeftBehind::new(verdict.left_behind),
            phases: Phases(&verdict.phases),
            resets_sent: verdict
                .resets_sent
                .iter()
                .map(|cause| cause.label())
                .collect(),
            counters: Moved(&verdict.counters),
            reset_received: verdict.reset_received,
            reset_reason: verdict.reset_reason.as_deref(),
            error: verdict.error,
            attributes: super::attributes(verdict.attributes),
            confidence: verdict.confidence.label(),
            doubt: verdict.doubt,
            timeline: timeline(verdict),
            timeline_dropped: verdict.timeline_dropped,
        }
    }

    /// Appends the object and a line end.
    pub fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.push(b'\n');
        Ok(())
    }
}

impl LeftBehind {
    pub(super) fn new(left: classify::LeftBehind) -> Self {
        Self {
            unread: left.unread,
            unsent: left.unsent,
            unacked: left.unacked,
        }
    }
}

impl<'a> By<'a> {
    pub(super) fn new(task: &'a Task) -> Self {
        Self {
            pid: task.pid,
            comm: &task.comm,
        }
    }
}

/// The steps, in seconds since birth, or since the first step where the birth was not seen.
fn timeline(verdict: &Verdict) -> Vec<Moment<'_>> {
    let first = verdict.timeline.first().map(|step| step.at);
    let start = verdict.born_at.or(first).unwrap_or(Timestamp(0));
    let moment = |step: &'_ crate::track::Step| step.at.since(start).as_secs_f64();
    verdict
        .timeline
        .iter()
        .map(|step| Moment {
            at: moment(step),
            event: step.event,
            state: step.state,
            by: step.by.as_ref().map(By::new),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;
    use crate::sink::sample;

    #[test]
    fn a_line_reads_as_recorded() {
        let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
        let verdict = sample::reset_with_unread_data();
        let text = serde_json::to_string_pretty(&Line::new(&verdict, &clock)).unwrap();
        expect_file!["../../testdata/line.json"].assert_eq(&text);
    }

    #[test]
    fn what_is_not_known_is_null_and_no_key_is_missing() {
        let clock = Clock::with_wall_offset(0);
        let keys = |verdict: &Verdict| {
            let value = serde_json::to_value(Line::new(verdict, &clock)).unwrap();
            let object = value.as_object().unwrap().clone();
            let phases = object["phases"].as_object().unwrap().len();
            assert_eq!(phases, Phase::ALL.len());
            object.keys().cloned().collect::<Vec<_>>()
        };
        let bare = sample::unknown();
        assert_eq!(keys(&bare), keys(&sample::reset_with_unread_data()));
        let value = serde_json::to_value(Line::new(&bare, &clock)).unwrap();
        for key in [
            "initiator",
            "closer",
            "half_closed",
            "local",
            "peer",
            "netns",
            "pid",
            "comm",
        ] {
            assert!(value[key].is_null(), "{key}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        let mut out = Vec::new();
        let mut verdict = sample::reset_with_unread_data();
        verdict.closed_by.as_mut().unwrap().comm = "a\nb".into();
        Line::new(&verdict, &Clock::with_wall_offset(0))
            .write(&mut out)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with('\n'));
    }
}
