//! Invented results, as the lines in which they come.

use super::*;

const GOOD: &str = r#"{"booted": 3.5, "release": "6.1"}
{"listed": "one"}
{"listed": "two"}
{"case": "one", "outcome": "passed", "detail": ""}
{"case": "two", "outcome": "skipped", "detail": "no fentry"}
{"end": true, "passed": 1, "failed": 0, "skipped": 1}
{"exit": 0}
"#;

fn faults(console: &str, results: &str, boot: Boot) -> Vec<String> {
    judge(console, results, boot).faults
}

#[test]
fn every_listed_case_with_a_result_and_an_end_line_is_success() {
    let report = judge("[    1.0] quiet\n", GOOD, Boot::PoweredOff);
    assert!(report.is_success(), "{report:?}");
    assert_eq!((report.passed, report.skipped.len()), (1, 1));
    assert_eq!(report.boot_seconds, Some(3.5));
}

#[test]
fn a_missing_end_line_fails() {
    let text = GOOD.replace(
        "{\"end\": true, \"passed\": 1, \"failed\": 0, \"skipped\": 1}\n",
        "",
    );
    assert_eq!(
        faults("", &text, Boot::PoweredOff),
        ["the results have no end line"]
    );
}

#[test]
fn a_listed_case_without_a_result_fails() {
    let text = GOOD.replace(
        "{\"listed\": \"two\"}",
        "{\"listed\": \"two\"}\n{\"listed\": \"three\"}",
    );
    assert_eq!(faults("", &text, Boot::PoweredOff), ["no result for three"]);
}

#[test]
fn a_failed_case_fails_with_its_detail() {
    let text = GOOD
        .replace(
            "\"outcome\": \"passed\", \"detail\": \"\"",
            "\"outcome\": \"failed\", \"detail\": \"saw unknown\"",
        )
        .replace(
            "\"passed\": 1, \"failed\": 0",
            "\"passed\": 0, \"failed\": 1",
        );
    assert_eq!(faults("", &text, Boot::PoweredOff), ["one: saw unknown"]);
}

#[test]
fn a_kernel_in_trouble_fails_and_a_test_that_panics_does_not_look_like_one() {
    let oops = "[   12.3] BUG: kernel NULL pointer dereference, address: 0\n";
    assert_eq!(
        faults(oops, GOOD, Boot::PoweredOff),
        ["the kernel says: [   12.3] BUG: kernel NULL pointer dereference, address: 0"]
    );
    let test = "thread 'main' panicked at xtask/tests/kernel/main.rs:3:5: BUG\n";
    assert!(faults(test, GOOD, Boot::PoweredOff).is_empty());
}

#[test]
fn a_guest_that_never_started_its_tests_or_hung_fails() {
    assert_eq!(
        faults("", "", Boot::OverLimit),
        ["the wall limit passed", "the guest did not reach its tests"]
    );
}

#[test]
fn totals_that_differ_from_the_cases_fail() {
    let text = GOOD.replace("\"skipped\": 1}", "\"skipped\": 2}");
    assert_eq!(
        faults("", &text, Boot::PoweredOff),
        ["the end line says (1, 0, 2, 0), the cases are (1, 0, 1, 0)"]
    );
    let text = GOOD.replace("\"skipped\": 1}", "\"skipped\": 1, \"ends\": 2}");
    assert_eq!(
        faults("", &text, Boot::PoweredOff),
        ["the end line says (1, 0, 1, 2), the cases are (1, 0, 1, 0)"]
    );
}

#[test]
fn garbage_between_results_fails() {
    let text = GOOD.replace("{\"exit\": 0}", "{\"exit\": 0}\nhalf a li");
    assert_eq!(
        faults("", &text, Boot::PoweredOff),
        ["not a result: half a li"]
    );
}
