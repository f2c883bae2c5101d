//! Invented results, as the lines in which they come.

use super::*;
use crate::vm::report::{self, Boot};

/// Results of three cases with two backends: one verdict is coarser, one is wrong.
const LINES: &str = r#"{"booted": 3.5}
{"listed": "reset::fentry"}
{"listed": "reset::tracepoint"}
{"listed": "expires::fentry"}
{"listed": "expires::tracepoint"}
{"listed": "subflow::fentry"}
{"listed": "subflow::tracepoint"}
{"case": "reset::fentry", "outcome": "passed", "detail": "", "ends": [{"role": "client", "truth": "peer_reset", "verdict": "peer_reset", "confidence": "exact", "coarser": [], "wrong": []}, {"role": "server", "truth": "reset_linger_zero", "verdict": "reset_linger_zero", "confidence": "exact", "coarser": [], "wrong": []}]}
{"case": "reset::tracepoint", "outcome": "failed", "detail": "a reset\nclient", "ends": [{"role": "client", "truth": "peer_reset", "verdict": "active_close", "confidence": "inferred", "coarser": [], "wrong": ["ending: expected \"peer_reset\", got \"active_close\""]}, {"role": "server", "truth": "reset_linger_zero", "verdict": "reset_linger_zero", "confidence": "exact", "coarser": [], "wrong": []}]}
{"case": "expires::fentry", "outcome": "passed", "detail": "", "ends": [{"role": "client", "truth": "timeout_fin_wait2", "verdict": "timeout_fin_wait2", "confidence": "exact", "coarser": [], "wrong": []}]}
{"case": "expires::tracepoint", "outcome": "passed", "detail": "", "ends": [{"role": "client", "truth": "timeout_fin_wait2", "verdict": "active_close", "confidence": "inferred", "coarser": ["ending active_close", "confidence inferred"], "wrong": []}]}
{"case": "subflow::fentry", "outcome": "skipped", "detail": "not applicable: no MPTCP", "ends": []}
{"case": "subflow::tracepoint", "outcome": "skipped", "detail": "not applicable: no MPTCP", "ends": []}
{"end": true, "passed": 3, "failed": 1, "skipped": 2, "ends": 6, "detail": ""}
{"exit": 101}
"#;

fn matrix(lines: &str) -> Matrix {
    let report = report::judge("", lines, Boot::PoweredOff);
    let mut matrix = Matrix::default();
    matrix.add("6.1", &report.cases);
    matrix
}

fn row<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text.lines().find(|line| line.trim().starts_with(start));
    found.unwrap_or_else(|| panic!("no {start} in:\n{text}"))
}

#[test]
fn a_wrong_verdict_stands_off_the_diagonal() {
    let text = full::text(&matrix(LINES));
    let (_, tracepoint) = text.split_once("### 6.1, tracepoint").unwrap();
    assert_eq!(
        row(tracepoint, "| truth"),
        "| truth | active_close | reset_linger_zero |"
    );
    assert_eq!(row(tracepoint, "| peer_reset"), "| peer_reset | **1** | |");
    assert_eq!(
        row(tracepoint, "| reset_linger_zero"),
        "| reset_linger_zero | | 1 |"
    );
    let (_, fentry) = text.split_once("### 6.1, fentry").unwrap();
    assert_eq!(row(fentry, "| peer_reset"), "| peer_reset | 1 | | |");
}

#[test]
fn each_end_of_each_case_has_its_verdict_by_each_backend() {
    let text = full::text(&matrix(LINES));
    assert_eq!(
        row(&text, "| reset | client"),
        "| reset | client | peer_reset | ✓ | **active_close** |"
    );
    assert_eq!(
        row(&text, "| expires"),
        "| expires | client | timeout_fin_wait2 | ✓ | *ending active_close, confidence inferred* |"
    );
    assert!(row(&text, "| subflow").ends_with("| not applicable: no MPTCP |"));
}

#[test]
fn the_parts_add_up_to_the_cases_and_the_totals() {
    let matrix = matrix(LINES);
    assert_eq!(matrix.faults(), Vec::<String>::new());
    let mut sum = Count::default();
    for sheet in &matrix.sheets {
        let count = sheet.count();
        assert_eq!(count.cases, 3, "{}", sheet.backend);
        assert_eq!(count.ends, count.right + count.coarser + count.wrong);
        sum += count;
    }
    assert_eq!(sum.cases, sum.passed + sum.failed + sum.not_applicable);
    let text = short::text(&matrix);
    assert!(
        text.ends_with(
            "verdicts: 6 ends: 4 right, 1 coarser, 1 wrong; 4 exact, 2 inferred, 0 partial; \
             6 cases: 3 passed, 1 failed, 2 not applicable, 0 skipped"
        ),
        "{text}"
    );
}

#[test]
fn what_is_not_plainly_right_is_told_by_name() {
    let text = short::text(&matrix(LINES));
    assert_eq!(
        row(&text, "tracepoint  expires").trim(),
        "tracepoint  expires, client: timeout_fin_wait2, told as ending active_close, \
         confidence inferred (6.1)"
    );
    assert!(
        row(&text, "tracepoint  reset").contains("peer_reset, told as active_close (inferred)")
    );
    assert_eq!(
        row(&text, "6.1         no MPTCP").trim(),
        "6.1         no MPTCP (subflow)"
    );
    assert!(!text.contains("failed with every verdict right"), "{text}");
}

#[test]
fn a_case_that_passed_with_a_wrong_verdict_is_a_contradiction() {
    let lines = LINES.replace("\"outcome\": \"failed\"", "\"outcome\": \"passed\"");
    assert_eq!(
        matrix(&lines).faults(),
        ["6.1 tracepoint reset passed with a wrong verdict"]
    );
}

#[test]
fn a_case_that_is_for_no_backend_is_counted_too() {
    let lines = LINES.replace("subflow::fentry", "subflow");
    let matrix = matrix(&lines);
    let backends: Vec<&str> = matrix.sheets.iter().map(|sheet| sheet.backend).collect();
    assert_eq!(backends, ["fentry", "tracepoint", NO_BACKEND]);
}

#[test]
fn a_failure_with_every_verdict_right_is_told_too() {
    let lines = LINES.replace(
        "\"case\": \"expires::fentry\", \"outcome\": \"passed\", \"detail\": \"\"",
        "\"case\": \"expires::fentry\", \"outcome\": \"failed\", \"detail\": \"about\\nOutRsts\"",
    );
    let text = short::text(&matrix(&lines));
    assert_eq!(
        row(&text, "fentry      expires").trim(),
        "fentry      expires: OutRsts (6.1)"
    );
}

#[test]
fn what_is_right_and_inferred_is_counted_by_the_agents_doubt() {
    let lines = LINES.replace(
        "\"verdict\": \"timeout_fin_wait2\", \"confidence\": \"exact\"",
        "\"verdict\": \"timeout_fin_wait2\", \"confidence\": \"inferred\", \"doubt\": \"no timer\"",
    );
    let matrix = matrix(&lines);
    let count = matrix.sheets[0].count();
    assert_eq!((count.exact, count.inferred, count.partial), (2, 1, 0));
    let text = short::text(&matrix);
    assert_eq!(
        row(&text, "fentry      no timer").trim(),
        "fentry      no timer (6.1: 1)"
    );
}
