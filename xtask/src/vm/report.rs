//! What a boot amounts to.
//! Takes the two serial ports' text and how QEMU ended, gives counts and the
//! reasons to fail. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the second serial port.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Case {
        case: String,
        outcome: Outcome,
        #[serde(default)]
        detail: Option<String>,
    },
    End {
        #[serde(rename = "end")]
        _end: bool,
        passed: usize,
        failed: usize,
        skipped: usize,
    },
    Booted {
        booted: f64,
    },
    Listed {
        listed: String,
    },
    Exit {
        exit: i32,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// How a guest ended, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    PoweredOff,
    /// The wall limit passed and the guest was killed.
    OverLimit,
}

/// The judgement on one boot.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Guest time from power on to the start of the tests.
    pub(crate) boot_seconds: Option<f64>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Names of those that passed or failed.
    pub(crate) ran: Vec<String>,
    /// Name and reason.
    pub(crate) skipped: Vec<(String, String)>,
    /// Why the boot as a whole does not count; empty means success.
    pub(crate) faults: Vec<String>,
}

/// What a kernel says when it is in trouble, always after its time stamp.
const TROUBLE: &[&str] = &[
    "] BUG: ",
    "] Oops",
    "] kernel BUG at",
    "] general protection fault",
    "] watchdog: BUG: soft lockup",
    "] Kernel panic",
    "] INFO: task ",
    "soft lockup",
];

pub(crate) fn judge(console: &str, results: &str, boot: Boot) -> Report {
    let mut report = Report::default();
    let mut cases: BTreeMap<String, Outcome> = BTreeMap::new();
    let mut listed: Vec<String> = Vec::new();
    let mut end = None;
    let mut exit = None;
    for text in results.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(text) {
            Ok(Line::Case {
                case,
                outcome,
                detail,
            }) => {
                let detail = detail.unwrap_or_default();
                if outcome != Outcome::Skipped {
                    report.ran.push(case.clone());
                }
                match outcome {
                    Outcome::Passed => report.passed += 1,
                    Outcome::Failed => report.fail_case(&case, &detail),
                    Outcome::Skipped => report.skipped.push((case.clone(), detail)),
                }
                if cases.insert(case.clone(), outcome).is_some() {
                    report.faults.push(format!("two results for {case}"));
                }
            }
            Ok(Line::End {
                passed,
                failed,
                skipped,
                ..
            }) => end = Some((passed, failed, skipped)),
            Ok(Line::Booted { booted }) => report.boot_seconds = Some(booted),
            Ok(Line::Listed { listed: name }) => listed.push(name),
            Ok(Line::Exit { exit: status }) => exit = Some(status),
            Err(_) => report
                .faults
                .push(format!("not a result: {}", text.escape_debug())),
        }
    }
    report.check_console(console);
    if boot == Boot::OverLimit {
        report.faults.push("the wall limit passed".to_owned());
    }
    if report.boot_seconds.is_none() {
        report
            .faults
            .push("the guest did not reach its tests".to_owned());
    } else {
        report.check_completeness(&cases, &listed, end);
    }
    match exit {
        Some(status) if status != 0 && report.failed == 0 => {
            report
                .faults
                .push(format!("the kernel tests exited with {status}"));
        }
        _ => {}
    }
    report
}

impl Report {
    pub(crate) fn is_success(&self) -> bool {
        self.failed == 0 && self.faults.is_empty()
    }

    fn fail_case(&mut self, case: &str, detail: &str) {
        self.failed += 1;
        self.faults.push(format!("{case}: {detail}"));
    }

    fn check_console(&mut self, console: &str) {
        let trouble = console
            .lines()
            .find(|line| TROUBLE.iter().any(|sign| line.contains(sign)));
        if let Some(line) = trouble {
            self.faults
                .push(format!("the kernel says: {}", line.trim()));
        }
    }

    fn check_completeness(
        &mut self,
        cases: &BTreeMap<String, Outcome>,
        listed: &[String],
        end: Option<(usize, usize, usize)>,
    ) {
        for name in listed.iter().filter(|name| !cases.contains_key(*name)) {
            self.faults.push(format!("no result for {name}"));
        }
        if listed.is_empty() {
            self.faults.push("the kernel tests list no case".to_owned());
        }
        let counted = (self.passed, self.failed, self.skipped.len());
        match end {
            None => self.faults.push("the results have no end line".to_owned()),
            Some(totals) if totals != counted => {
                let text = format!("the end line says {totals:?}, the cases are {counted:?}");
                self.faults.push(text);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
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
            ["the end line says (1, 0, 2), the cases are (1, 0, 1)"]
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
}
