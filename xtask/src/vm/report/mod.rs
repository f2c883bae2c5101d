//! What a boot amounts to.
//! Takes the two serial ports' text and how QEMU ended, gives counts and the
//! reasons to fail. Pure.

mod line;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;
use xtask::judge::Pair;

use line::Line;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// One case that has a result.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// Why it failed or was skipped; what it found.
    pub(crate) detail: String,
    /// The truth and the verdict of each end.
    pub(crate) ends: Vec<Pair>,
}

/// How a guest ended, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    PoweredOff,
    /// The wall limit passed and the guest was killed.
    OverLimit,
    /// No result came for minutes, and it was killed.
    Silent,
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
    /// All of them, in the order of their results.
    pub(crate) cases: Vec<Case>,
    /// Why the boot as a whole does not count; empty means success.
    pub(crate) faults: Vec<String>,
}

/// What a kernel says when it is in trouble, always after its time stamp.
pub(super) const TROUBLE: &[&str] = &[
    "] BUG: ",
    "] Oops",
    "] kernel BUG at",
    "] general protection fault",
    "] watchdog: BUG: soft lockup",
    "] Kernel panic",
    "] INFO: task ",
    "soft lockup",
    "] rcu: INFO: ",
    "Unable to handle kernel ",
    "] Internal error: ",
];

/// Whether the guest's tests came to their end.
pub(super) fn has_ended(results: &str) -> bool {
    results
        .lines()
        .any(|line| matches!(serde_json::from_str(line), Ok(Line::End { .. })))
}

/// What one boot amounts to.
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
                ends,
            }) => {
                let case = Case {
                    name: case,
                    outcome,
                    detail: detail.unwrap_or_default(),
                    ends,
                };
                if cases.insert(case.name.clone(), outcome).is_some() {
                    report.faults.push(format!("two results for {}", case.name));
                }
                report.add(case);
            }
            Ok(Line::End {
                passed,
                failed,
                skipped,
                ends,
                ..
            }) => end = Some((passed, failed, skipped, ends)),
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

    fn add(&mut self, case: Case) {
        let Case { name, detail, .. } = &case;
        if case.outcome != Outcome::Skipped {
            self.ran.push(name.clone());
        }
        match case.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => {
                self.failed += 1;
                self.faults.push(format!("{name}: {detail}"));
            }
            Outcome::Skipped => self.skipped.push((name.clone(), detail.clone())),
        }
        self.cases.push(case);
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
        end: Option<(usize, usize, usize, usize)>,
    ) {
        for name in listed.iter().filter(|name| !cases.contains_key(*name)) {
            self.faults.push(format!("no result for {name}"));
        }
        if listed.is_empty() {
            self.faults.push("the kernel tests list no case".to_owned());
        }
        let ends = self.cases.iter().map(|case| case.ends.len()).sum();
        let counted = (self.passed, self.failed, self.skipped.len(), ends);
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
