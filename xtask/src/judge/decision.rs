//! Whether a judgement counts at once or the scenario is performed a second time.
//!
//! Takes the truth and the agent's records, or the error of a scenario; gives a [`Decision`].
//! The kernel does not run a BPF program that an interrupt or another task finds running on the
//! same CPU, so a slow machine hides an event now and then. The agent then owes a doubt: a second
//! try is never for what it told as exact.

use serde_json::json;

use super::{Books, Coarser, judge, report};
use crate::agent::Record;
use crate::scenario::truth::End;

/// What a judgement amounts to. The texts say what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is wrong.
    Right,
    /// A doubt or a silence, which a second try may resolve.
    Again(String),
    /// A failure at once.
    Wrong(String),
}

/// Decides about what the agent said of one scenario.
pub fn decide(
    ends: &[End],
    records: &[Record],
    coarser: &[Coarser],
    books: Option<&Books<'_>>,
) -> Decision {
    let text = report(ends, records, coarser);
    if text.is_empty() {
        return books.map_or(Decision::Right, |books| decide_books(books, records));
    }
    let (judged, extra) = judge(ends, records, coarser);
    let mut told = judged
        .iter()
        .filter(|one| !one.wrong.is_empty())
        .filter_map(|one| one.record)
        .chain(extra);
    if told.any(is_exact) {
        Decision::Wrong(text)
    } else {
        Decision::Again(text)
    }
}

/// All verdicts are right; so must the sums be.
fn decide_books(books: &Books<'_>, records: &[Record]) -> Decision {
    let text = books.differences(records).join("\n");
    if text.is_empty() {
        Decision::Right
    } else if records.iter().all(is_exact) && !books.is_doubtful(records) {
        Decision::Wrong(text)
    } else {
        Decision::Again(text)
    }
}

/// Decides about a scenario that did not do what it claims.
pub fn decide_undone(why: String, timed_out: bool) -> Decision {
    if timed_out {
        Decision::Again(why)
    } else {
        Decision::Wrong(why)
    }
}

/// How many of so many cases may pass at the second try: 5 %, but one at least, so that a few
/// chosen cases can be run.
pub fn allowed(cases: usize) -> usize {
    (cases / 20).max(1)
}

/// The first mismatch of a report and how sure its record was, on one line.
pub fn first_mismatch(report: &str) -> String {
    let mut parts: Vec<&str> = report.lines().take(2).map(str::trim).collect();
    let record = report
        .lines()
        .find_map(|line| line.trim().strip_prefix("the record:"));
    let sure = record.and_then(|record| {
        let (_, rest) = record.split_once(" confidence ")?;
        rest.split_once(" attributes ")
    });
    parts.extend(sure.map(|(sure, _)| sure));
    parts.join(" ")
}

fn is_exact(record: &Record) -> bool {
    record.all.get("confidence") == Some(&json!("exact"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{end, record, record_with};
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Word {
        Right,
        Again,
        Wrong,
    }

    fn word(records: &[Record]) -> Word {
        match decide(&[end()], records, &[], None) {
            Decision::Right => Word::Right,
            Decision::Again(_) => Word::Again,
            Decision::Wrong(_) => Word::Wrong,
        }
    }

    #[test]
    fn a_wrong_verdict_is_tried_again_only_in_doubt() {
        assert_eq!(word(&[record("active_close")]), Word::Right);
        assert_eq!(word(&[record("unknown")]), Word::Wrong);
        assert_eq!(word(&[record_with("unknown", "inferred")]), Word::Again);
        assert_eq!(word(&[record_with("active_close", "partial")]), Word::Again);
    }

    #[test]
    fn a_missing_record_is_tried_again() {
        assert_eq!(word(&[]), Word::Again);
    }

    #[test]
    fn a_record_too_many_is_tried_again_only_in_doubt() {
        let right = || record("active_close");
        assert_eq!(word(&[right(), right()]), Word::Wrong);
        let doubtful = || record_with("active_close", "partial");
        assert_eq!(word(&[right(), doubtful()]), Word::Again);
        // The right record counts for the end, in whatever order they come.
        assert_eq!(word(&[doubtful(), right()]), Word::Again);
        assert_eq!(word(&[record("unknown"), right()]), Word::Wrong);
    }

    #[test]
    fn one_exact_mistake_outweighs_a_doubt() {
        let other = End::client(
            "127.0.0.1:3".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
            "active_close",
        );
        // The second end has no record, the first a wrong one.
        let decision = decide(&[end(), other], &[record("unknown")], &[], None);
        assert!(matches!(decision, Decision::Wrong(_)), "{decision:?}");
    }

    #[test]
    fn a_stale_row_fails_at_once() {
        let row = Coarser::new("ending", Some("unknown"), "blind");
        let decision = decide(&[end()], &[record("active_close")], &[row], None);
        assert!(matches!(decision, Decision::Wrong(_)), "{decision:?}");
    }

    #[test]
    fn a_scenario_is_tried_again_only_after_a_timeout() {
        let why = || "why".to_owned();
        assert_eq!(decide_undone(why(), true), Decision::Again(why()));
        assert_eq!(decide_undone(why(), false), Decision::Wrong(why()));
    }

    #[test]
    fn more_than_5_percent_is_too_much() {
        assert_eq!([1, 39, 40, 130].map(allowed), [1, 1, 2, 6]);
    }

    #[test]
    fn the_first_mismatch_is_one_line() {
        let text = report(&[end()], &[record("unknown")], &[]);
        assert_eq!(
            first_mismatch(&text),
            "client 127.0.0.1:1 to 127.0.0.1:2: ending: expected \"active_close\", got \"unknown\" \
             \"exact\" doubt null"
        );
    }
}
