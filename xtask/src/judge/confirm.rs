//! Whether the loss of the probes of one kind shows.
//!
//! Takes what changed without them in a first and in a second try; gives the changes that are
//! no chance, and whether they are what the table of explained losses says.

use std::collections::BTreeSet;

use super::Change;

/// How many of the cases that change are performed again: chance does not change the same ones
/// twice.
const SAMPLE: usize = 3;

/// What a second try decides: a sample of the cases that change, and, where they are no more
/// than that, those that are unclear.
pub fn to_confirm(first: &Try) -> BTreeSet<String> {
    let changes = first.changes.iter();
    let changed: BTreeSet<String> = changes.map(|change| change.case.clone()).collect();
    let few = changed.len() <= SAMPLE;
    let unclear = first.unclear.iter().filter(|_| few).cloned();
    changed.into_iter().take(SAMPLE).chain(unclear).collect()
}

/// What two tries prove, the second of some of the cases. A change counts that the second try
/// confirms; where one try is unclear, the other decides. What was seen once only, since its
/// case had one try, counts where the second try confirms another change: all have one cause.
pub fn confirmed(first: &Try, second: &Try, tried_again: &BTreeSet<String>) -> Vec<Change> {
    let clear = |one: &Try, case: &str| !one.unclear.contains(case);
    let changed = |one: &Try, case: &str| one.changes.iter().any(|change| change.case == case);
    let mut first_changes = first.changes.iter();
    let one_is_certain = first_changes.any(|change| changed(second, &change.case));
    let mut changes = first.changes.clone();
    changes.retain(|Change { case, .. }| {
        if tried_again.contains(case) {
            changed(second, case) || !clear(second, case)
        } else {
            one_is_certain
        }
    });
    let late = second.changes.iter().filter(|change| {
        !clear(first, &change.case) && !changes.iter().any(|it| it.case == change.case)
    });
    let late: Vec<Change> = late.cloned().collect();
    changes.extend(late);
    changes
}

/// What an agent without a kind told of some cases.
#[derive(Clone, Debug, Default)]
pub struct Try {
    /// What it told otherwise.
    pub changes: Vec<Change>,
    /// The cases in which events were lost.
    pub unclear: BTreeSet<String>,
}

/// Whether the loss shows as it must: in a case, or explained in the table that says why it
/// cannot. The text names the cases.
pub fn loss(changes: &[Change], explained: Option<&str>) -> Result<String, String> {
    let mut cases: Vec<&str> = changes.iter().map(|change| change.case.as_str()).collect();
    cases.dedup();
    let count = cases.len();
    let cases = cases.join(", ");
    match (count, explained) {
        (0, None) => Err(
            "no case changes its verdict: a probe whose loss changes nothing is removed, or \
             explained in the table `explained`"
                .to_owned(),
        ),
        (0, Some(reason)) => Ok(format!("no case changes its verdict: {reason}")),
        (_, None) => Ok(format!("{count} cases change their verdict: {cases}")),
        (_, Some(reason)) => Err(format!(
            "the table `explained` says that nothing changes ({reason}), but {count} cases \
             do; remove the row: {cases}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(changed: &[&str], unclear: &[&str]) -> Try {
        let change = |case: &&str| Change {
            case: (*case).to_owned(),
            part: "client".to_owned(),
            what: Vec::new(),
            exact: true,
        };
        Try {
            changes: changed.iter().map(change).collect(),
            unclear: unclear.iter().map(|case| (*case).to_owned()).collect(),
        }
    }

    #[test]
    fn of_many_changes_a_sample_is_tried_again_and_of_few_all_with_the_unclear() {
        let names = |changed: &[&str]| {
            let again = to_confirm(&told(changed, &["unclear"]));
            again.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names(&["a"]), ["a", "unclear"]);
        assert_eq!(names(&["a", "b", "c", "d"]), ["a", "b", "c"]);
    }

    #[test]
    fn a_second_try_confirms_refutes_or_decides_for_an_unclear_first() {
        let again = BTreeSet::from(["a".to_owned()]);
        let count = |first: &Try, second: &Try| confirmed(first, second, &again).len();
        let (changed, same, unclear) = (told(&["a"], &[]), told(&[], &[]), told(&[], &["a"]));
        assert_eq!(count(&changed, &changed), 1);
        assert_eq!(count(&changed, &same), 0);
        assert_eq!(count(&changed, &unclear), 1);
        assert_eq!(count(&unclear, &changed), 1);
        assert_eq!(count(&same, &changed), 0);
    }

    #[test]
    fn what_was_seen_once_counts_with_another_that_was_seen_twice() {
        let first = told(&["a", "b", "c", "d"], &[]);
        let again = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let count = |second: &[&str]| confirmed(&first, &told(second, &[]), &again).len();
        assert_eq!(count(&["a", "b"]), 4);
        assert_eq!(count(&["b"]), 3);
        assert_eq!(count(&[]), 0);
    }

    #[test]
    fn a_loss_must_show_or_be_explained_and_never_both() {
        let seen = told(&["a_case"], &[]).changes;
        assert!(loss(&seen, None).unwrap().contains("a_case"));
        assert!(loss(&[], Some("why")).unwrap().contains("why"));
        assert!(loss(&[], None).unwrap_err().contains("no case changes"));
        let stale = loss(&seen, Some("why")).unwrap_err();
        assert!(stale.contains("remove the row"));
    }
}
