//! What an agent gets wrong without the probes of one kind.
//!
//! Takes the truth, and the records of an agent that lacks a kind, of cases that a whole agent
//! was right about; gives each [`Change`].

use std::fmt;

use serde_json::{Value, json};

use super::{Books, Coarser, judge};
use crate::agent::Record;
use crate::scenario::truth::End;

/// One end, or the sums of one case, that an agent without some probes tells otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The case.
    pub case: String,
    /// `client`, `server`, or `sums` for the kernel's counters.
    pub part: String,
    /// What it says, and what it should.
    pub what: Vec<String>,
    /// It says something false, not merely less, and calls that exact.
    pub exact: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.case, self.part, self.what.join("; "))
    }
}

/// One case that a whole agent was right about.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// Its name.
    pub case: &'a str,
    /// What happened.
    pub ends: &'a [End],
    /// What it had to say more coarsely.
    pub coarser: &'a [Coarser],
    /// What the kernel counted.
    pub books: Books<'a>,
}

/// What changes in one case, by the records of the agent that lacks a kind. Records that owe a
/// doubt to lost events prove nothing and are left out; so are sums that they are part of.
pub fn changes(sound: &Sound<'_>, records: &[Record]) -> Vec<Change> {
    let Sound {
        case,
        ends,
        coarser,
        books,
    } = *sound;
    let (judged, extra) = judge(ends, records, coarser);
    let change = |part: &str, what: Vec<String>, exact| Change {
        case: case.to_owned(),
        part: part.to_owned(),
        what,
        exact,
    };
    let mut changes = Vec::new();
    for one in judged.iter().filter(|one| !one.wrong.is_empty()) {
        if one.record.is_some_and(lost_events) {
            continue;
        }
        let exact = one.record.is_some_and(is_exact) && one.wrong.iter().any(|line| is_false(line));
        let mut what = one.wrong.clone();
        what.extend(one.record.filter(|_| exact).map(evidence));
        changes.push(change(one.end.role, what, exact));
    }
    for record in extra.into_iter().filter(|record| !lost_events(record)) {
        let what = vec![format!("a record too many: {}", record.ending)];
        changes.push(change(&record.role, what, is_exact(record)));
    }
    if changes.is_empty() && !is_unclear(records) {
        let differences = books.differences(records);
        if !differences.is_empty() {
            changes.push(change("sums", differences, records.iter().all(is_exact)));
        }
    }
    changes
}

/// Whether events were lost under a record, so that the case is not a proof either way.
pub fn is_unclear(records: &[Record]) -> bool {
    records.iter().any(lost_events)
}

/// The steps of a record, by name.
fn evidence(record: &Record) -> String {
    let steps = record.all.get("timeline").and_then(Value::as_array);
    let events = steps
        .into_iter()
        .flatten()
        .filter_map(|step| step.get("event").and_then(Value::as_str));
    let events: Vec<&str> = events.collect();
    format!("it saw {}", events.join(" "))
}

/// That a value is not known is no falsehood.
fn is_false(line: &str) -> bool {
    !line.ends_with("got null")
}

fn is_exact(record: &Record) -> bool {
    says(record, "confidence", "exact")
}

fn lost_events(record: &Record) -> bool {
    says(record, "doubt", "events were lost while it was open")
}

fn says(record: &Record, key: &str, value: &str) -> bool {
    record.all.get(key).unwrap_or(&Value::Null) == &json!(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{end, record, record_with};
    use super::*;

    fn of(records: &[Record]) -> Vec<Change> {
        let counters = BTreeMap::from([("EstabResets".to_owned(), 0)]);
        let books = Books {
            counters: &counters,
            beside: &[],
            at_most: &[],
        };
        let sound = Sound {
            case: "a_case",
            ends: &[end()],
            coarser: &[],
            books,
        };
        changes(&sound, records)
    }

    #[test]
    fn a_verdict_that_is_less_sure_is_a_change() {
        let changes = of(&[record_with("active_close", "inferred")]);
        assert_eq!(
            changes[0].what,
            ["confidence: expected \"exact\", got \"inferred\""]
        );
        assert!(!changes[0].exact);
    }

    #[test]
    fn a_verdict_that_stays_right_is_no_change() {
        assert_eq!(of(&[record("active_close")]), []);
    }

    #[test]
    fn another_ending_a_silence_and_a_record_too_many_are_changes() {
        let other = of(&[record("unknown")]);
        assert_eq!((other.len(), other[0].exact), (1, true));
        assert!(other[0].to_string().starts_with("a_case client: ending: "));
        assert!(other[0].to_string().ends_with("; it saw fin_sent"));
        let inferred = of(&[record_with("unknown", "inferred")]);
        assert!(!inferred[0].exact);
        assert_eq!(of(&[]).len(), 1);
        assert_eq!(of(&[record("active_close"), record("unknown")]).len(), 1);
    }

    #[test]
    fn sums_that_no_longer_add_up_are_a_change() {
        let mut told = record("active_close");
        told.all["counters"] = json!({"EstabResets": 1});
        let changes = of(&[told]);
        assert_eq!(changes[0].part, "sums");
    }

    #[test]
    fn lost_events_prove_nothing() {
        let mut lossy = record_with("unknown", "partial");
        lossy.all["doubt"] = json!("events were lost while it was open");
        assert_eq!(of(&[lossy]), []);
    }

    #[test]
    fn what_is_not_known_is_less_and_not_false() {
        let mut told = record("active_close");
        told.all["initiator"] = Value::Null;
        let changes = of(&[told]);
        assert_eq!((changes.len(), changes[0].exact), (1, false));
    }
}
