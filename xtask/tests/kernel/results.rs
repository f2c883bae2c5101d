//! One JSON line for each case, and a last one with totals.
//!
//! Takes judgements and outcomes as they come; the file is complete up to the last finished case even if the
//! machine dies.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use libtest_mimic::{Completion, Failed};
use serde_json::json;
use xtask::judge::{Pair, Skip, allowed};

/// How a case went that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// With what it found.
    Told(String),
    /// With what was wrong at first.
    SecondTry(String),
    Skipped(Skip),
}

/// Where outcomes go.
#[derive(Debug)]
pub(crate) struct Results(Mutex<Sheet>);

#[derive(Debug)]
struct Sheet {
    file: Option<File>,
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Of those that passed.
    second_tries: usize,
    /// The last judgement on each case that has no line yet.
    judged: BTreeMap<String, Vec<Pair>>,
    /// Ends in the lines so far.
    ends: usize,
}

impl Results {
    /// Opens `KERNEL_TEST_RESULTS`, if it is set. Lives as long as the process.
    pub(crate) fn from_env() -> anyhow::Result<&'static Self> {
        let open = |path: &OsString| {
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot open {}", path.display()))
        };
        let file = env::var_os("KERNEL_TEST_RESULTS")
            .as_ref()
            .map(open)
            .transpose()?;
        let sheet = Sheet {
            file,
            passed: 0,
            failed: 0,
            skipped: 0,
            second_tries: 0,
            judged: BTreeMap::new(),
            ends: 0,
        };
        Ok(Box::leak(Box::new(Self(Mutex::new(sheet)))))
    }

    /// Keeps what was judged of a case for its line; a second try replaces the first.
    pub(crate) fn note(&self, case: &str, pairs: Vec<Pair>) {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sheet.judged.insert(case.to_owned(), pairs);
    }

    /// Keeps more of a case that judges several scenarios.
    pub(crate) fn note_more(&self, case: &str, pairs: Vec<Pair>) {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = sheet.judged.entry(case.to_owned()).or_default();
        judged.extend(pairs);
    }

    /// Runs a case and writes down how it went.
    pub(crate) fn record(
        &self,
        case: &str,
        run: impl FnOnce() -> Result<Outcome, Failed>,
    ) -> Result<Completion, Failed> {
        let outcome = run();
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, detail) = match &outcome {
            Ok(Outcome::Passed) => ("passed", String::new()),
            Ok(Outcome::Told(found)) => ("passed", found.clone()),
            Ok(Outcome::SecondTry(first)) => {
                sheet.second_tries += 1;
                let detail = format!("passed at the second try; at first: {first}");
                println!("{case} {detail}");
                ("passed", detail)
            }
            Ok(Outcome::Skipped(reason)) => ("skipped", reason.to_string()),
            Err(failed) => ("failed", failed.message().unwrap_or_default().to_owned()),
        };
        match word {
            "passed" => sheet.passed += 1,
            "skipped" => sheet.skipped += 1,
            _ => sheet.failed += 1,
        }
        let ends = sheet.judged.remove(case).unwrap_or_default();
        sheet.ends += ends.len();
        sheet.line(&json!({"case": case, "outcome": word, "detail": detail, "ends": ends}))?;
        Ok(match outcome? {
            Outcome::Skipped(reason) => Completion::ignored_with(reason.to_string()),
            Outcome::Passed | Outcome::Told(_) | Outcome::SecondTry(_) => Completion::Completed,
        })
    }

    /// Writes the totals. Says whether few enough cases needed a second try, and every
    /// judgement is in a line.
    pub(crate) fn end(&self) -> anyhow::Result<bool> {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (passed, failed, skipped) = (sheet.passed, sheet.failed, sheet.skipped);
        let ends = sheet.ends;
        let detail = format!("{} at the second try", sheet.second_tries);
        println!("kernel cases: {passed} passed, {failed} failed, {skipped} skipped, {detail}");
        sheet.line(&json!({
            "end": true, "passed": passed, "failed": failed, "skipped": skipped,
            "ends": ends, "detail": detail,
        }))?;
        let most = allowed(passed + failed);
        let few = sheet.second_tries <= most;
        if !few {
            println!("kernel tests failed: {detail}, more than {most}; this is not chance");
        }
        let lost: Vec<&str> = sheet.judged.keys().map(String::as_str).collect();
        if !lost.is_empty() {
            let lost = lost.join(", ");
            println!("kernel tests failed: judged when their lines were written: {lost}");
        }
        Ok(few && sheet.judged.is_empty())
    }
}

impl Sheet {
    fn line(&mut self, value: &serde_json::Value) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{value}").context("cannot write KERNEL_TEST_RESULTS")?;
        }
        Ok(())
    }
}
