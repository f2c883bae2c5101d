//! Whether what the agent said is what happened.
//!
//! Takes the truth about each end of a scenario and the agent's records of its namespace;
//! gives each difference in words. Exact: no record missing, none too many, and each
//! attribute that the truth states equal.

mod decision;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::agent::Record;
use crate::scenario::truth::{End, canonical};

pub use decision::{Decision, allowed, decide, decide_undone, first_mismatch};

/// A verdict that a backend cannot make as fine as the truth, and the one it must make instead.
#[derive(Clone, Copy, Debug)]
pub struct Coarser {
    /// Only for ends of this role, if given.
    pub role: Option<&'static str>,
    /// The JSON key.
    pub key: &'static str,
    /// What it must say; `None` is null.
    pub says: Option<&'static str>,
    /// Why it cannot know.
    pub reason: &'static str,
}

/// One end, with the record that was found for it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// What happened.
    pub end: &'a End,
    /// What the agent said of it.
    pub record: Option<&'a Record>,
    /// What is wrong, a line for each difference.
    pub wrong: Vec<String>,
}

/// Compares the truth with the records of its namespace. The second part of the answer holds
/// the records that belong to no end.
pub fn judge<'a>(
    ends: &'a [End],
    records: &'a [Record],
    coarser: &[Coarser],
) -> (Vec<Judged<'a>>, Vec<&'a Record>) {
    let mut left: Vec<&Record> = records.iter().collect();
    let mut judged = Vec::new();
    // Ends with an address choose first; a connect without one takes what is left.
    let mut order: Vec<&End> = ends.iter().collect();
    order.sort_by_key(|end| end.local.is_none());
    for end in order {
        // Of two records for one end, the wrong one is the one too many.
        let right =
            |record: &&Record| belongs(end, record) && differences(end, record, coarser).is_empty();
        let place = left
            .iter()
            .position(right)
            .or_else(|| left.iter().position(|record| belongs(end, record)));
        let record = place.map(|place| left.swap_remove(place));
        let wrong = match record {
            Some(record) => differences(end, record, coarser),
            None => vec!["the agent said nothing about it".to_owned()],
        };
        judged.push(Judged { end, record, wrong });
    }
    (judged, left)
}

/// All that is wrong, with the evidence; empty if nothing is.
pub fn report(ends: &[End], records: &[Record], coarser: &[Coarser]) -> String {
    let (judged, extra) = judge(ends, records, coarser);
    let mut text = String::new();
    for one in judged.iter().filter(|one| !one.wrong.is_empty()) {
        writeln!(
            text,
            "{} {} to {}:",
            one.end.role,
            show(one.end.local),
            show(one.end.peer)
        )
        .ok();
        for line in &one.wrong {
            writeln!(text, "  {line}").ok();
        }
        if let Some(record) = one.record {
            text += &evidence(record);
        }
    }
    for record in extra {
        writeln!(text, "a record too many: {} {}", record.role, record.ending).ok();
        text += &evidence(record);
    }
    text
}

fn belongs(end: &End, record: &Record) -> bool {
    let at = |text: &Option<String>| text.as_ref()?.parse().ok().map(canonical);
    match (end.local, end.peer) {
        (Some(local), Some(peer)) => {
            (at(&record.local), at(&record.peer)) == (Some(local), Some(peer))
        }
        _ => record.role == end.role,
    }
}

fn differences(end: &End, record: &Record, coarser: &[Coarser]) -> Vec<String> {
    let rows: Vec<&Coarser> = coarser
        .iter()
        .filter(|row| row.role.is_none_or(|role| role == end.role))
        .collect();
    let got = |pointer: &str| {
        record
            .all
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| json!("no such key"))
    };
    let mut wrong = Vec::new();
    for (key, pointer, truth) in stated(end) {
        if rows.iter().any(|row| row.key == key) {
            continue;
        }
        let got = got(pointer);
        if got != truth {
            wrong.push(format!("{key}: expected {truth}, got {got}"));
        }
    }
    for row in rows {
        let (got, required) = (got(&format!("/{}", row.key)), json!(row.says));
        if got != required {
            let (key, reason) = (row.key, row.reason);
            wrong.push(format!(
                "{key}: got {got}, but the table of coarser verdicts requires {required} ({reason}); \
                 if it became finer, remove the row"
            ));
        }
    }
    if got("/confidence") == json!("partial") {
        wrong.push("confidence: partial, though the agent saw it from its birth".to_owned());
    }
    wrong
}

/// What the truth states: key, place in the record, value.
fn stated(end: &End) -> Vec<(&'static str, &'static str, Value)> {
    let mut all = vec![
        ("role", "/role", json!(end.role)),
        ("ending", "/ending", json!(end.ending)),
        ("closer", "/closer", json!(end.closer.word())),
        ("time_wait", "/time_wait", json!(end.time_wait)),
        ("timeline_dropped", "/timeline_dropped", json!(0)),
    ];
    all.extend(
        end.initiator
            .map(|initiator| ("initiator", "/initiator", json!(initiator))),
    );
    all.extend(
        end.half_closed
            .map(|half| ("half_closed", "/half_closed", json!(half))),
    );
    all.extend(
        end.unread
            .map(|bytes| ("unread", "/left_behind/unread", json!(bytes))),
    );
    all.extend(
        end.unsent
            .map(|bytes| ("unsent", "/left_behind/unsent", json!(bytes))),
    );
    all.extend(
        end.unacked
            .map(|bytes| ("unacked", "/left_behind/unacked", json!(bytes))),
    );
    if let Some((pid, comm)) = &end.by {
        all.push(("pid", "/pid", json!(pid)));
        all.push(("comm", "/comm", json!(comm)));
    }
    all
}

fn evidence(record: &Record) -> String {
    let mut text = String::new();
    let field = |key: &str| record.all.get(key).cloned().unwrap_or(Value::Null);
    writeln!(
        text,
        "  the record: {} {} confidence {} doubt {} attributes {} resets_sent {}",
        show(record.local.as_deref()),
        field("ending"),
        field("confidence"),
        field("doubt"),
        field("attributes"),
        field("resets_sent"),
    )
    .ok();
    if let Value::Array(steps) = field("timeline") {
        for step in steps {
            writeln!(text, "    {step}").ok();
        }
    }
    text
}

fn show(thing: Option<impl std::fmt::Display>) -> String {
    thing.map_or_else(|| "somewhere".to_owned(), |thing| thing.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn end() -> End {
        let (local, peer) = (
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        );
        End::client(local, peer, "active_close")
    }

    pub(super) fn record(ending: &str) -> Record {
        record_with(ending, "exact")
    }

    pub(super) fn record_with(ending: &str, confidence: &str) -> Record {
        let line = json!({
            "role": "client", "local": "[::ffff:127.0.0.1]:1", "peer": "127.0.0.1:2", "netns": 7,
            "ending": ending, "closer": null, "time_wait": "local", "timeline_dropped": 0,
            "confidence": confidence, "initiator": "local", "half_closed": false, "timeline": [{"event": "fin_sent"}],
            "left_behind": {"unread": 0, "unsent": 0, "unacked": 0},
        });
        Record::parse(&line.to_string()).unwrap()
    }

    #[test]
    fn an_equal_record_is_right() {
        assert_eq!(report(&[end()], &[record("active_close")], &[]), "");
    }

    #[test]
    fn another_ending_is_wrong_and_shows_its_evidence() {
        let text = report(&[end()], &[record("unknown")], &[]);
        assert!(
            text.contains("expected \"active_close\", got \"unknown\""),
            "{text}"
        );
        assert!(text.contains("fin_sent"), "{text}");
    }

    #[test]
    fn a_missing_and_an_extra_record_are_wrong() {
        assert!(report(&[end()], &[], &[]).contains("said nothing"));
        let twice = [record("active_close"), record("active_close")];
        assert!(report(&[end()], &twice, &[]).contains("too many"));
    }

    #[test]
    fn a_coarser_verdict_is_required_and_a_finer_one_is_stale() {
        let row = Coarser {
            role: None,
            key: "ending",
            says: Some("unknown"),
            reason: "blind",
        };
        assert_eq!(report(&[end()], &[record("unknown")], &[row]), "");
        let stale = report(&[end()], &[record("active_close")], &[row]);
        assert!(stale.contains("remove the row"), "{stale}");
    }
}
