//! What all boots together amount to.
//! Takes reports, gives sums and the one line that states them. Pure.

use std::collections::BTreeSet;
use std::fmt;

use super::report::Report;
use crate::arch::Arch;
use crate::matrix::Matrix;

/// Names of all backends, as they stand in the names of cases.
pub(crate) const BACKENDS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

#[derive(Debug)]
pub(crate) struct Totals {
    arch: Arch,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Kernels on which the tests ran.
    pub(super) kernels: usize,
    backends: usize,
    /// Kernels and boots that do not count, and why.
    pub(crate) faults: Vec<String>,
    /// Names of cases without their backend.
    endings: BTreeSet<String>,
    /// What was judged.
    pub(crate) matrix: Matrix,
}

impl Totals {
    pub(crate) fn of_backends(arch: Arch, backends: usize) -> Self {
        Self {
            arch,
            passed: 0,
            failed: 0,
            skipped: 0,
            kernels: 0,
            backends,
            faults: Vec::new(),
            endings: BTreeSet::new(),
            matrix: Matrix::default(),
        }
    }

    pub(crate) fn add(&mut self, series: &str, report: &Report) {
        self.passed += report.passed;
        self.failed += report.failed;
        self.skipped += report.skipped.len();
        self.kernels += 1;
        self.matrix.add(series, &report.cases);
        self.endings
            .extend(report.ran.iter().map(|case| without_backend(case)));
        self.faults.extend(
            report
                .faults
                .iter()
                .map(|fault| format!("{series}: {fault}")),
        );
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kernel cases in {} VMs: {} ran ({} cases × {} kernels × {} backends), {} passed, \
             {} failed, {} skipped",
            self.arch.name(),
            self.passed + self.failed,
            self.endings.len(),
            self.kernels,
            self.backends,
            self.passed,
            self.failed,
            self.skipped
        )
    }
}

/// `active_close` of `active_close::fentry`.
pub(crate) fn without_backend(case: &str) -> String {
    let parts: Vec<&str> = case
        .split("::")
        .filter(|part| !BACKENDS.contains(part))
        .collect();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_counts_once_for_all_backends() {
        assert_eq!(without_backend("active_close::fentry"), "active_close");
        assert_eq!(without_backend("kprobe::reset::unread"), "reset::unread");
    }
}
