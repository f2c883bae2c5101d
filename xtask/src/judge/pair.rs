//! What happened to one end beside what the agent said of it, as it reaches the report.
//!
//! Takes a judgement; gives a [`Pair`] for each end, which is one JSON object in the results
//! of the kernel tests.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compare::stated;
use super::{Coarser, Judged, judge};
use crate::agent::Record;
use crate::scenario::truth::End;

/// One end: the truth, the verdict, and how they compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// `client` or `server`.
    pub role: String,
    /// How it ended; `None`: there was no such end, but the agent told of one.
    pub truth: Option<String>,
    /// The ending that the agent named; `None`: it said nothing.
    pub verdict: Option<String>,
    /// How sure it was.
    pub confidence: Option<String>,
    /// Why it was not surer.
    #[serde(default)]
    pub doubt: Option<String>,
    /// What it said less exactly than the truth, as the table of coarser verdicts requires. How
    /// sure it was stands above.
    pub coarser: Vec<String>,
    /// What it said wrongly.
    pub wrong: Vec<String>,
}

/// How a verdict compares with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Equal in all that the truth states.
    Right,
    /// Coarser, as the table requires.
    Coarser,
    /// Anything else.
    Wrong,
}

impl Pair {
    /// How the two compare.
    pub const fn grade(&self) -> Grade {
        if !self.wrong.is_empty() {
            Grade::Wrong
        } else if !self.coarser.is_empty() {
            Grade::Coarser
        } else {
            Grade::Right
        }
    }
}

/// The ends of a scenario that has very many, if the agent was wrong about one in a hundred at
/// most, called each of them partial, and said that the kernel had skipped its probe: a busy
/// machine makes the kernel skip some. They count as coarser then.
pub fn excused(mut pairs: Vec<Pair>) -> Option<Vec<Pair>> {
    let ends = pairs.len();
    let mut excused = 0;
    for pair in &mut pairs {
        if pair.wrong.is_empty() {
            continue;
        }
        let doubt = pair.doubt.as_deref().unwrap_or_default();
        let is_lost = doubt.starts_with("events were lost");
        if pair.truth.is_none() || pair.confidence.as_deref() != Some("partial") || !is_lost {
            return None;
        }
        pair.coarser.append(&mut pair.wrong);
        excused += 1;
    }
    (excused * 100 <= ends).then_some(pairs)
}

/// A pair for each end and for each record that belongs to none.
pub fn pairs(ends: &[End], records: &[Record], coarser: &[Coarser]) -> Vec<Pair> {
    let (judged, extra) = judge(ends, records, coarser);
    let of_ends = judged.into_iter().map(|one| of_end(one, coarser));
    of_ends.chain(extra.into_iter().map(of_nothing)).collect()
}

fn of_end(judged: Judged<'_>, coarser: &[Coarser]) -> Pair {
    let truth = stated(judged.end);
    let known = |row: &Coarser| {
        truth
            .iter()
            .any(|(key, _, value)| *key == row.key && *value == json!(row.says))
    };
    let rows = coarser
        .iter()
        .filter(|row| row.concerns(judged.end) && row.key != "confidence" && !known(row))
        .map(|row| match row.says {
            Some("") => format!("{} none", row.key),
            says => format!("{} {}", row.key, says.unwrap_or("null")),
        });
    Pair {
        role: judged.end.role.to_owned(),
        truth: Some(judged.end.ending.to_owned()),
        verdict: judged.record.map(|record| record.ending.clone()),
        confidence: judged.record.and_then(|record| text(record, "confidence")),
        doubt: judged.record.and_then(|record| text(record, "doubt")),
        coarser: rows.collect(),
        wrong: judged.wrong,
    }
}

fn of_nothing(record: &Record) -> Pair {
    Pair {
        role: record.role.clone(),
        truth: None,
        verdict: Some(record.ending.clone()),
        confidence: text(record, "confidence"),
        doubt: text(record, "doubt"),
        coarser: Vec::new(),
        wrong: vec!["a record too many".to_owned()],
    }
}

fn text(record: &Record, key: &str) -> Option<String> {
    let word = record.all.get(key).and_then(Value::as_str);
    word.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{end, record, record_with};
    use super::*;

    fn grades(records: &[Record], coarser: &[Coarser]) -> Vec<Grade> {
        let pairs = pairs(&[end()], records, coarser);
        pairs.iter().map(Pair::grade).collect()
    }

    #[test]
    fn a_pair_tells_both_endings_and_how_they_compare() {
        let pairs = pairs(&[end()], &[record("unknown")], &[]);
        assert_eq!(pairs[0].truth.as_deref(), Some("active_close"));
        assert_eq!(pairs[0].verdict.as_deref(), Some("unknown"));
        assert_eq!(pairs[0].grade(), Grade::Wrong);
        assert_eq!(grades(&[record("active_close")], &[]), [Grade::Right]);
    }

    #[test]
    fn silence_and_a_record_too_many_are_wrong() {
        assert_eq!(grades(&[], &[]), [Grade::Wrong]);
        let twice = [record("active_close"), record("active_close")];
        assert_eq!(grades(&twice, &[]), [Grade::Right, Grade::Wrong]);
    }

    #[test]
    fn only_what_differs_from_the_truth_makes_a_verdict_coarser() {
        let row = |key, says| Coarser::new(key, Some(says), "blind");
        let same = [row("ending", "active_close")];
        assert_eq!(grades(&[record("active_close")], &same), [Grade::Right]);
        let other = [row("initiator", "peer")];
        let mut told = record("active_close");
        told.all["initiator"] = json!("peer");
        assert_eq!(grades(&[told.clone()], &other), [Grade::Coarser]);
        assert_eq!(
            pairs(&[end()], &[told], &other)[0].coarser,
            ["initiator peer"]
        );
    }

    #[test]
    fn what_is_only_less_sure_is_right_and_says_how_sure() {
        let row = [Coarser::new("confidence", Some("inferred"), "blind")];
        let records = [record_with("active_close", "inferred")];
        assert_eq!(grades(&records, &row), [Grade::Right]);
        let pairs = pairs(&[end()], &records, &row);
        assert_eq!(pairs[0].confidence.as_deref(), Some("inferred"));
    }

    #[test]
    fn a_few_of_very_many_are_excused_where_the_kernel_skipped_a_probe() {
        let lost = |confidence| {
            let mut record = record_with("unknown", confidence);
            record.all["doubt"] = json!("events were lost while it was open");
            pairs(&[end()], &[record], &[]).remove(0)
        };
        let right = pairs(&[end()], &[record("active_close")], &[]).remove(0);
        let many = |odd: &[Pair]| excused([vec![right.clone(); 99], odd.to_vec()].concat());
        let grade = |pairs: Vec<Pair>| pairs.iter().map(Pair::grade).max();
        assert_eq!(
            many(&[lost("partial")]).and_then(grade),
            Some(Grade::Coarser)
        );
        assert_eq!(many(&[lost("partial"), lost("partial")]), None);
        assert_eq!(many(&[lost("exact")]), None);
        assert_eq!(excused(vec![right.clone(), lost("partial")]), None);
        let other = pairs(&[end()], &[record_with("unknown", "partial")], &[]).remove(0);
        assert_eq!(many(&[other]), None);
    }

    #[test]
    fn a_pair_survives_its_way_through_the_results() {
        for pair in pairs(&[end()], &[record("unknown"), record("unknown")], &[]) {
            let text = serde_json::to_string(&pair).unwrap();
            assert_eq!(serde_json::from_str::<Pair>(&text).unwrap(), pair);
        }
    }
}
