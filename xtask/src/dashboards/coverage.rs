//! Whether every metric is shown to somebody.
//! Takes the metrics that the agent exports and those that dashboards and rules ask for,
//! gives the ones that nobody asks for and that [`LEFT_OUT`] does not name.

use std::collections::BTreeSet;

/// Metrics that are deliberately on no dashboard and in no rule, with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "process_threads",
        "the number is fixed; a thread that hangs shows in what it would have counted",
    ),
    (
        "process_virtual_memory_bytes",
        "mapped files and the ring count in it; what it costs is the resident memory",
    ),
];

/// How many are left out on purpose.
pub(super) const fn left_out() -> usize {
    LEFT_OUT.len()
}

/// What is shown nowhere, and what is listed without need.
pub(super) fn faults(exported: &BTreeSet<&str>, used: &BTreeSet<String>) -> Vec<String> {
    found(exported, used, &LEFT_OUT)
}

fn found(
    exported: &BTreeSet<&str>,
    used: &BTreeSet<String>,
    left_out: &[(&str, &str)],
) -> Vec<String> {
    let is_listed = |name: &str| left_out.iter().any(|(listed, _)| *listed == name);
    let missing = exported
        .iter()
        .filter(|name| !used.contains(**name) && !is_listed(name))
        .map(|name| format!("{name} is on no dashboard and in no rule, and not left out by name"));
    let stale = left_out
        .iter()
        .filter(|(name, _)| used.contains(*name) || !exported.contains(name))
        .map(|(name, _)| format!("{name} is left out by name, yet it is used or not exported"));
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_used_or_left_out_for_a_reason() {
        let exported = BTreeSet::from(["a", "b", "c"]);
        let used = BTreeSet::from(["a".to_owned()]);
        assert_eq!(
            found(&exported, &used, &[("b", "why")]),
            ["c is on no dashboard and in no rule, and not left out by name"]
        );
        assert_eq!(
            found(
                &exported,
                &used,
                &[("a", "why"), ("b", "why"), ("c", "why"), ("d", "why")]
            ),
            [
                "a is left out by name, yet it is used or not exported",
                "d is left out by name, yet it is used or not exported"
            ]
        );
    }
}
