//! The kernel tests on this machine's own kernel, with what it permits.
//! Takes root, gives sums, lines, faults and what was judged; what is not permitted is a line and
//! counts as skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::unistd::Uid;

use super::Sum;
use crate::arch::Arch;
use crate::matrix::Matrix;
use crate::vm::report::{self, Boot};
use crate::vm::{BACKENDS, without_backend};
use crate::{artifacts, command, place};

/// The kernel tests with what this machine's kernel permits.
pub(super) fn run(
    sum: &mut Sum,
    faults: &mut Vec<String>,
    lines: &mut Vec<String>,
) -> Result<Matrix> {
    let mut matrix = Matrix::default();
    if !Uid::effective().is_root() {
        lines.push(
            "kernel tests on this kernel: skipped, they need root (the VMs do not)".to_owned(),
        );
        sum.skipped += 1;
        return Ok(matrix);
    }
    let agent = artifacts::agent()?;
    let tests = artifacts::kernel_tests_for(Arch::host()?)?;
    let results = place::target().join("kernel-tests.jsonl");
    fs::write(&results, "").with_context(|| format!("could not write {}", results.display()))?;
    let listed = listed(&tests, &agent)?;
    let status = Command::new(&tests)
        .env("TCP_OBSERVER_BIN", &agent)
        .env("KERNEL_TEST_RESULTS", &results)
        .status()
        .with_context(|| format!("could not start {}", tests.display()))?;
    let said = fs::read_to_string(&results)
        .with_context(|| format!("could not read {}", results.display()))?;
    // The lines that a guest's first process adds.
    let exit = status.code().unwrap_or(-1);
    let text = format!("{{\"booted\": 0.0}}\n{listed}{said}\n{{\"exit\": {exit}}}\n");
    let report = report::judge("", &text, Boot::PoweredOff);
    let refused = refused(&listed);
    if refused.cases > 0 {
        lines.push(format!(
            "kernel tests on this kernel: {} cases skipped, it does not allow {} (`tcp-observer \
             check` says why)",
            refused.cases,
            refused.backends.join(", ")
        ));
        sum.skipped += refused.cases;
    }
    matrix.add("this kernel", &report.cases);
    lines.push(format!(
        "kernel tests on this kernel: {} passed, {} failed, {} skipped",
        report.passed,
        report.failed,
        report.skipped.len()
    ));
    sum.passed += report.passed;
    sum.failed += report.failed;
    sum.skipped += report.skipped.len();
    faults.extend(
        report
            .faults
            .into_iter()
            .map(|fault| format!("this kernel: {fault}")),
    );
    Ok(matrix)
}

/// The cases that must have a result, as the guest of a VM reports them.
fn listed(tests: &Path, agent: &Path) -> Result<String> {
    let text = command::output(
        Command::new(tests)
            .arg("--list")
            .env("TCP_OBSERVER_BIN", agent),
    )?;
    let lines: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(|name| format!("{}\n", serde_json::json!({ "listed": name })))
        .collect();
    Ok(lines.concat())
}

/// The backends that no listed case is for, and how many cases that leaves out.
struct Refused {
    backends: Vec<&'static str>,
    cases: usize,
}

fn refused(listed: &str) -> Refused {
    let names = || listed.lines().filter_map(|line| line.split('"').nth(3));
    let backends: Vec<&str> = BACKENDS
        .into_iter()
        .filter(|backend| !names().any(|name| name.split("::").any(|part| part == *backend)))
        .collect();
    // Some cases are for no backend.
    let cases: BTreeSet<String> = names()
        .filter(|name| without_backend(name) != *name)
        .map(without_backend)
        .collect();
    Refused {
        cases: backends.len() * cases.len(),
        backends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_without_a_case_is_refused_with_all_cases() {
        let listed = "{\"listed\":\"one::tracepoint\"}\n{\"listed\":\"two::tracepoint\"}\n\
                      {\"listed\":\"three\"}\n";
        let refused = refused(listed);
        assert_eq!(refused.backends, ["fentry", "kprobe"]);
        assert_eq!(refused.cases, 4);
    }
}
