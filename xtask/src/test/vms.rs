//! The kernel tests in VMs: every case on the kernels of this machine's
//! processor, then one case per ending on those of arm64.
//! Takes what setup finds, gives sums, lines and faults; where arm64 cannot be
//! tested, that is a line and counts as skipped, under CI as a fault.

use anyhow::Result;

use super::Sum;
use crate::arch::Arch;
use crate::matrix::Matrix;
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::vm;

pub(super) fn run(
    sum: &mut Sum,
    faults: &mut Vec<String>,
    lines: &mut Vec<String>,
) -> Result<Matrix> {
    let host = Arch::host()?;
    let mut matrix = boot(host, sum, faults, lines)?;
    if host == Arch::Arm64 {
        lines.push("kernel tests in x86_64 VMs: skipped, they need an x86_64 host".to_owned());
        sum.skipped += 1;
        return Ok(matrix);
    }
    if let Err(error) = setup::ensure(&[Part::Arm64]) {
        lines.push(format!("kernel tests in arm64 VMs: skipped: {error:#}"));
        sum.skipped += 1;
        if vm::is_required() {
            let text = "arm64 is not tested; set ALLOW_MISSING_KERNELS=1 to test without it";
            faults.push(text.to_owned());
        }
        return Ok(matrix);
    }
    match boot(Arch::Arm64, sum, faults, lines) {
        Ok(arm64) => matrix.append(arm64),
        Err(error) => faults.push(format!("kernel tests in arm64 VMs: {error:#}")),
    }
    Ok(matrix)
}

fn boot(
    arch: Arch,
    sum: &mut Sum,
    faults: &mut Vec<String>,
    lines: &mut Vec<String>,
) -> Result<Matrix> {
    let watch = Stopwatch::start();
    let totals = vm::run(&vm::Args::of(arch))?;
    lines.push(totals.to_string());
    lines.push(format!("kernel tests in {} VMs took {watch}", arch.name()));
    sum.passed += totals.passed;
    sum.failed += totals.failed;
    sum.skipped += totals.skipped;
    faults.extend(totals.faults);
    Ok(totals.matrix)
}
