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

/// Where outcomes go.
#[derive(Debug)]
pub(crate) struct Results(Mutex<Sheet>);

#[derive(Debug)]
struct Sheet {
    file: Option<File>,
    passed: usize,
    failed: usize,
    skipped: usize,
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
        };
        Ok(Box::leak(Box::new(Self(Mutex::new(sheet)))))
    }

    /// Runs a case and writes down how it went.
    pub(crate) fn record(
        &self,
        case: &str,
        run: impl FnOnce() -> Result<Completion, Failed>,
    ) -> Result<Completion, Failed> {
        let outcome = run();
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, detail) = match &outcome {
            Ok(Completion::Completed) => {
                sheet.passed += 1;
                ("passed", "")
            }
            Ok(Completion::Ignored { reason }) => {
                sheet.skipped += 1;
                ("skipped", reason.as_deref().unwrap_or_default())
            }
            Err(failed) => {
                sheet.failed += 1;
                ("failed", failed.message().unwrap_or_default())
            }
        };
        sheet.line(&json!({"case": case, "outcome": word, "detail": detail}))?;
        outcome
    }

    /// Writes the totals.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (passed, failed, skipped) = (sheet.passed, sheet.failed, sheet.skipped);
        println!("kernel cases: {passed} passed, {failed} failed, {skipped} skipped");
        sheet.line(&json!({"end": true, "passed": passed, "failed": failed, "skipped": skipped}))
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
