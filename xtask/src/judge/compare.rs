//! How a record differs from the truth about its end.
//!
//! Takes an end, its record and the verdicts that must be coarser; gives each difference in
//! words. Never chooses which record an end has.

use serde_json::{Value, json};

use crate::agent::Record;
use crate::scenario::truth::End;

use super::Judged;

/// A verdict that a backend cannot make as fine as the truth, and the one it must make instead.
#[derive(Clone, Copy, Debug)]
pub struct Coarser {
    /// Only for ends of this role, if given.
    pub role: Option<&'static str>,
    /// Only for ends that really ended so, if given.
    pub ending: Option<&'static str>,
    /// The JSON key.
    pub key: &'static str,
    /// What it must say; `None` is null, and the words of a list are joined by spaces.
    pub says: Option<&'static str>,
    /// Not must, but may, and no more than so many ends of one case.
    pub most: Option<usize>,
    /// Why it cannot know.
    pub reason: &'static str,
}

impl Coarser {
    /// For every end.
    pub const fn new(key: &'static str, says: Option<&'static str>, reason: &'static str) -> Self {
        Self {
            role: None,
            ending: None,
            key,
            says,
            most: None,
            reason,
        }
    }

    pub(super) fn concerns(&self, end: &End) -> bool {
        self.role.is_none_or(|role| role == end.role)
            && self.ending.is_none_or(|ending| ending == end.ending)
    }

    fn is_said_by(&self, record: &Record) -> bool {
        joined(got(record, &format!("/{}", self.key))) == json!(self.says)
    }
}

/// What is wrong, a line for each difference.
pub(super) fn differences(end: &End, record: &Record, coarser: &[Coarser]) -> Vec<String> {
    let rows: Vec<&Coarser> = coarser.iter().filter(|row| row.concerns(end)).collect();
    let excused = |key: &str| {
        let mut rows = rows.iter().filter(|row| row.key == key);
        rows.any(|row| row.most.is_none() || row.is_said_by(record))
    };
    let mut wrong = Vec::new();
    for (key, pointer, truth) in stated(end) {
        let got = got(record, pointer);
        if got != truth && !excused(key) {
            wrong.push(format!("{key}: expected {truth}, got {got}"));
        }
    }
    let required = rows.into_iter().filter(|row| row.most.is_none());
    for row in required.filter(|row| !row.is_said_by(record)) {
        let (key, reason, required) = (row.key, row.reason, json!(row.says));
        let got = joined(got(record, &format!("/{key}")));
        wrong.push(format!(
            "{key}: got {got}, but the table of coarser verdicts requires {required} ({reason}); \
             if it became finer, remove the row"
        ));
    }
    wrong
}

/// Adds a line to each end that says what only a few ends of a case may say, if many do.
pub(super) fn limit(judged: &mut [Judged<'_>], coarser: &[Coarser]) {
    for row in coarser {
        let Some(most) = row.most else { continue };
        let says = |one: &&mut Judged<'_>| {
            row.concerns(one.end) && one.record.is_some_and(|record| row.is_said_by(record))
        };
        let told: Vec<_> = judged.iter_mut().filter(says).collect();
        let (count, key, reason) = (told.len(), row.key, row.reason);
        if count > most {
            for one in told {
                let says = json!(row.says);
                one.wrong.push(format!(
                    "{key}: {says}, as of {count} ends, where {most} may be ({reason})"
                ));
            }
        }
    }
}

fn got(record: &Record, pointer: &str) -> Value {
    let value = record.all.pointer(pointer).cloned();
    value.unwrap_or_else(|| json!("no such key"))
}

fn joined(value: Value) -> Value {
    let Value::Array(words) = &value else {
        return value;
    };
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    Value::String(words.join(" "))
}

/// What the truth states: key, place in the record, value. Nothing less than exact will do.
pub(super) fn stated(end: &End) -> Vec<(&'static str, &'static str, Value)> {
    let mut all = vec![
        ("role", "/role", json!(end.role)),
        ("ending", "/ending", json!(end.ending)),
        ("closer", "/closer", json!(end.closer.word())),
        ("time_wait", "/time_wait", json!(end.time_wait)),
        ("timeline_dropped", "/timeline_dropped", json!(0)),
        ("confidence", "/confidence", json!("exact")),
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
    all.extend(
        end.attributes
            .map(|words| ("attributes", "/attributes", json!(words))),
    );
    if let Some((pid, comm)) = &end.by {
        all.push(("pid", "/pid", json!(pid)));
        all.push(("comm", "/comm", json!(comm)));
    }
    if let Some((pid, comm)) = &end.opener {
        let opener = json!({"pid": pid, "comm": comm});
        all.push(("opened_by", "/opened_by", opener));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::super::tests::{end, record, record_with};
    use super::*;

    #[test]
    fn attributes_are_compared_where_the_truth_states_them() {
        let stated = |words| report(&[end().attributes(words)], &[record("active_close")], &[]);
        assert_eq!(stated(&["minisock", "reset_sent"]), "");
        assert!(stated(&[]).contains("attributes: expected []"));
        let row = Coarser::new("attributes", Some("minisock reset_sent"), "blind");
        let blind = end().attributes(&[]);
        assert_eq!(report(&[blind], &[record("active_close")], &[row]), "");
    }

    #[test]
    fn a_coarser_verdict_is_required_and_a_finer_one_is_stale() {
        let row = Coarser::new("ending", Some("unknown"), "blind");
        assert_eq!(report(&[end()], &[record("unknown")], &[row]), "");
        let stale = report(&[end()], &[record("active_close")], &[row]);
        assert!(stale.contains("remove the row"), "{stale}");
    }

    #[test]
    fn a_verdict_is_exact_unless_a_row_says_why_it_cannot_be() {
        let inferred = [record_with("active_close", "inferred")];
        let text = report(&[end()], &inferred, &[]);
        assert!(text.contains("confidence: expected \"exact\""), "{text}");
        let row = |ending| Coarser {
            ending: Some(ending),
            ..Coarser::new("confidence", Some("inferred"), "blind")
        };
        assert_eq!(report(&[end()], &inferred, &[row("active_close")]), "");
        assert_ne!(report(&[end()], &inferred, &[row("passive_close")]), "");
        let exact = [record("active_close")];
        let stale = report(&[end()], &exact, &[row("active_close")]);
        assert!(stale.contains("remove the row"), "{stale}");
    }

    #[test]
    fn what_chance_explains_may_be_said_and_only_by_a_few() {
        let of_two = |words: [&str; 2], most| {
            let row = Coarser {
                most: Some(most),
                ..Coarser::new("confidence", Some("inferred"), "chance")
            };
            let records = words.map(|word| record_with("active_close", word));
            report(&[end(), end()], &records, &[row])
        };
        assert_eq!(of_two(["exact", "exact"], 1), "");
        assert_eq!(of_two(["exact", "inferred"], 1), "");
        assert!(of_two(["inferred", "inferred"], 1).contains("of 2 ends"));
        assert!(of_two(["exact", "partial"], 1).contains("got \"partial\""));
    }
}
