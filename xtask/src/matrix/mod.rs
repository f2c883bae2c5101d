//! The confusion matrix: what really happened against what the agent said.
//!
//! Takes the results of each boot, gives a short text for the terminal and the whole for a
//! file. Pure, but for writing that file.

mod full;
mod short;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xtask::judge::{Grade, Pair, Skip};

use crate::place;
use crate::vm::report::{Case, Outcome};
use crate::vm::{BACKENDS, without_backend};

/// Stands for the backend of a case that is for none.
const NO_BACKEND: &str = "-";

/// Everything that was judged, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    sheets: Vec<Sheet>,
}

/// The cases of one kernel and backend.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) kernel: String,
    pub(crate) backend: &'static str,
    /// Their names are without the backend.
    pub(crate) cases: Vec<Case>,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    cases: usize,
    passed: usize,
    failed: usize,
    not_applicable: usize,
    skipped: usize,
    ends: usize,
    right: usize,
    coarser: usize,
    wrong: usize,
    exact: usize,
    inferred: usize,
    partial: usize,
}

impl Matrix {
    /// Adds the cases of one kernel.
    pub(crate) fn add(&mut self, kernel: &str, cases: &[Case]) {
        for backend in BACKENDS.into_iter().chain([NO_BACKEND]) {
            let of_it = |case: &&Case| backend_of(&case.name) == backend;
            let cases: Vec<Case> = cases
                .iter()
                .filter(of_it)
                .map(|case| Case {
                    name: without_backend(&case.name),
                    ..case.clone()
                })
                .collect();
            if !cases.is_empty() {
                self.sheets.push(Sheet {
                    kernel: kernel.to_owned(),
                    backend,
                    cases,
                });
            }
        }
    }

    /// Adds what another one holds.
    pub(crate) fn append(&mut self, other: Self) {
        self.sheets.extend(other.sheets);
    }

    /// Every sheet.
    pub(crate) fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// Where the numbers contradict each other; empty if nowhere.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.sheets.iter().flat_map(Sheet::faults).collect()
    }

    /// The short text; the whole goes to a file that it names.
    pub(crate) fn publish(&self) -> Result<String> {
        let path = file("matrix.md")?;
        fs::write(&path, full::text(self))
            .with_context(|| format!("could not write {}", path.display()))?;
        let place = path.strip_prefix(place::repository()).unwrap_or(&path);
        Ok(format!(
            "{}, in full in {}",
            short::text(self),
            place.display()
        ))
    }
}

/// A file beside what the VMs leave.
pub(crate) fn file(name: &str) -> Result<PathBuf> {
    let folder = place::target().join("vm");
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder.join(name))
}

impl Sheet {
    fn count(&self) -> Count {
        let mut count = Count::default();
        for case in &self.cases {
            count.cases += 1;
            match case.outcome {
                Outcome::Passed => count.passed += 1,
                Outcome::Failed => count.failed += 1,
                Outcome::Skipped if lack(case).is_some() => count.not_applicable += 1,
                Outcome::Skipped => count.skipped += 1,
            }
            for pair in &case.ends {
                count.ends += 1;
                match pair.grade() {
                    Grade::Right => count.right += 1,
                    Grade::Coarser => count.coarser += 1,
                    Grade::Wrong => count.wrong += 1,
                }
                match pair.confidence.as_deref() {
                    Some("exact") => count.exact += 1,
                    Some("inferred") => count.inferred += 1,
                    Some("partial") => count.partial += 1,
                    // Nothing was said of this end.
                    Some(_) | None => {}
                }
            }
        }
        count
    }

    fn faults(&self) -> Vec<String> {
        let at = |case: &Case| format!("{} {} {}", self.kernel, self.backend, case.name);
        let mut faults = Vec::new();
        for case in &self.cases {
            let wrong = case.ends.iter().any(|pair| pair.grade() == Grade::Wrong);
            if case.outcome == Outcome::Passed && wrong {
                faults.push(format!("{} passed with a wrong verdict", at(case)));
            }
            if case.outcome == Outcome::Skipped && !case.ends.is_empty() {
                faults.push(format!("{} was skipped and yet judged", at(case)));
            }
        }
        faults
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_applicable += other.not_applicable;
        self.skipped += other.skipped;
        self.ends += other.ends;
        self.right += other.right;
        self.coarser += other.coarser;
        self.wrong += other.wrong;
        self.exact += other.exact;
        self.inferred += other.inferred;
        self.partial += other.partial;
    }
}

fn backend_of(name: &str) -> &'static str {
    let is_part = |backend: &&str| name.split("::").any(|part| part == *backend);
    BACKENDS.into_iter().find(is_part).unwrap_or(NO_BACKEND)
}

/// Why this kernel or machine cannot make a case, if it cannot.
fn lack(case: &Case) -> Option<String> {
    if case.outcome != Outcome::Skipped {
        return None;
    }
    match Skip::from(case.detail.as_str()) {
        Skip::NotApplicable(lack) => Some(lack),
        Skip::Refused { .. } | Skip::NothingToJudge(_) | Skip::NotPermitted(_) => None,
    }
}

/// The ending that the agent named, or that it named none.
fn verdict(pair: &Pair) -> &str {
    pair.verdict.as_deref().unwrap_or("(nothing)")
}

/// The ending that happened, or that there was no such end.
fn truth(pair: &Pair) -> &str {
    pair.truth.as_deref().unwrap_or("(no end)")
}
