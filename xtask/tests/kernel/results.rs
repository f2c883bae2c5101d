//! One JSON line for each case, and a last one with totals.
//!
//! Takes outcomes as they come; the file is complete up to the last finished case even if the
//! machine dies.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use libtest_mimic::{Completion, Failed};
use serde_json::json;
use xtask::judge::allowed;

/// How a case went that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// With what was wrong at first.
    SecondTry(String),
    /// With the reason.
    Skipped(String),
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
        };
        Ok(Box::leak(Box::new(Self(Mutex::new(sheet)))))
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
            Ok(Outcome::SecondTry(first)) => {
                sheet.second_tries += 1;
                let detail = format!("passed at the second try; at first: {first}");
                println!("{case} {detail}");
                ("passed", detail)
            }
            Ok(Outcome::Skipped(reason)) => ("skipped", reason.clone()),
            Err(failed) => ("failed", failed.message().unwrap_or_default().to_owned()),
        };
        match word {
            "passed" => sheet.passed += 1,
            "skipped" => sheet.skipped += 1,
            _ => sheet.failed += 1,
        }
        sheet.line(&json!({"case": case, "outcome": word, "detail": detail}))?;
        Ok(match outcome? {
            Outcome::Skipped(reason) => Completion::ignored_with(reason),
            Outcome::Passed | Outcome::SecondTry(_) => Completion::Completed,
        })
    }

    /// Writes the totals. Says whether few enough cases needed a second try.
    pub(crate) fn end(&self) -> anyhow::Result<bool> {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (passed, failed, skipped) = (sheet.passed, sheet.failed, sheet.skipped);
        let detail = format!("{} at the second try", sheet.second_tries);
        println!("kernel cases: {passed} passed, {failed} failed, {skipped} skipped, {detail}");
        sheet.line(&json!({
            "end": true, "passed": passed, "failed": failed, "skipped": skipped, "detail": detail,
        }))?;
        let most = allowed(passed + failed);
        let few = sheet.second_tries <= most;
        if !few {
            println!("kernel tests failed: {detail}, more than {most}; this is not chance");
        }
        Ok(few)
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
