//! Whether what the agent said is what happened.
//!
//! Takes the truth about each end of a scenario and the agent's records of its namespace;
//! gives each difference in words. Exact: no record missing, none too many, and each
//! attribute that the truth states equal.

mod books;
mod compare;
mod confirm;
mod decision;
mod mutation;
mod pair;
mod place;
mod skip;

use std::fmt::Write as _;

use serde_json::Value;

use crate::agent::Record;
use crate::scenario::truth::End;

pub use books::{Books, EQUAL};
pub use compare::Coarser;
pub use confirm::{Try, confirmed, loss, to_confirm};
pub use decision::{Decision, allowed, decide, decide_undone, first_mismatch};
pub use mutation::{Change, Sound, changes, is_unclear};
pub use pair::{Grade, Pair, excused, pairs};
pub use skip::Skip;

use compare::{differences, limit};
use place::Place;

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
    let mut left: Vec<Place<'_>> = records.iter().map(Place::of).collect();
    let mut judged = Vec::new();
    // Ends with an address choose first; a connect without one takes what is left.
    let (known, unknown): (Vec<&End>, Vec<&End>) = ends.iter().partition(|end| end.local.is_some());
    let mut chosen: Vec<(&End, Option<&Record>)> = Vec::new();
    // Of two records for one end, the wrong one is the one too many; of two ends at one
    // place, neither takes what is right for the other.
    for end in known.into_iter().chain(unknown) {
        let fits = |place: &Place<'_>| wrongs(end, place, coarser) == Some(0);
        let place = left.iter().position(fits);
        chosen.push((end, place.map(|place| left.swap_remove(place).record)));
    }
    for (end, record) in chosen {
        let record = record.or_else(|| take_nearest(end, &mut left, coarser));
        let wrong = match record {
            Some(record) => differences(end, record, coarser),
            None => vec!["the agent said nothing about it".to_owned()],
        };
        judged.push(Judged { end, record, wrong });
    }
    limit(&mut judged, coarser);
    (judged, left.into_iter().map(|place| place.record).collect())
}

/// The record that differs least from an end, of those that may be its own.
fn take_nearest<'a>(
    end: &End,
    left: &mut Vec<Place<'a>>,
    coarser: &[Coarser],
) -> Option<&'a Record> {
    let places = left.iter().enumerate();
    let own = places.filter_map(|(at, place)| Some((wrongs(end, place, coarser)?, at)));
    let (_, at) = own.min()?;
    Some(left.swap_remove(at).record)
}

/// In how much a record differs from an end; `None`: it is of another.
fn wrongs(end: &End, place: &Place<'_>, coarser: &[Coarser]) -> Option<usize> {
    let belongs = place.belongs_to(end);
    belongs.then(|| differences(end, place.record, coarser).len())
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

fn evidence(record: &Record) -> String {
    let mut text = String::new();
    let field = |key: &str| record.all.get(key).cloned().unwrap_or(Value::Null);
    writeln!(
        text,
        "  the record: {} to {} {} confidence {} doubt {} attributes {} resets_sent {}",
        show(record.local.as_deref()),
        show(record.peer.as_deref()),
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
    use serde_json::json;

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
            "attributes": ["minisock", "reset_sent"],
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
    fn an_end_without_a_record_takes_none_of_a_connect_without_an_address() {
        let unbound = End {
            local: None,
            peer: None,
            ending: "passive_close",
            ..end()
        };
        let truth = [end(), unbound];
        let records = [record("passive_close")];
        let (judged, extra) = judge(&truth, &records, &[]);
        let wrong: Vec<&[String]> = judged.iter().map(|one| one.wrong.as_slice()).collect();
        let silent = ["the agent said nothing about it".to_owned()];
        assert_eq!((wrong, extra.len()), (vec![&silent[..], &[]], 0));
    }

    #[test]
    fn two_ends_at_one_place_never_take_each_others_records() {
        let truth = [
            end(),
            End {
                ending: "passive_close",
                ..end()
            },
        ];
        let doubtful = record_with("active_close", "partial");
        for records in [
            [record("passive_close"), doubtful.clone()],
            [doubtful, record("passive_close")],
        ] {
            let (judged, extra) = judge(&truth, &records, &[]);
            let wrong: Vec<usize> = judged.iter().map(|one| one.wrong.len()).collect();
            assert_eq!((wrong, extra.len()), (vec![1, 0], 0));
            assert!(matches!(
                decide(&truth, &records, &[], None),
                Decision::Again(_)
            ));
        }
    }

    #[test]
    fn a_missing_and_an_extra_record_are_wrong() {
        assert!(report(&[end()], &[], &[]).contains("said nothing"));
        let twice = [record("active_close"), record("active_close")];
        assert!(report(&[end()], &twice, &[]).contains("too many"));
    }
}
