//! The kernel tests: real sockets end in every known way, and every backend of the agent must
//! say what happened.
//!
//! Takes the agent's path in `TCP_OBSERVER_BIN`, the backends in `KERNEL_TEST_BACKENDS` (by
//! default those that attach here), and a file for results in `KERNEL_TEST_RESULTS`. Needs
//! root; without it, or without an agent, every case is skipped in plain sight.
#![expect(clippy::print_stdout, reason = "a test harness prints")]

mod cases;
mod coarser;
mod loaded;
mod results;
mod session;
mod tries;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use results::Results;
use session::Session;

/// Cases wait far more than they work, also on an emulated machine with two CPUs.
const CASES_AT_ONCE: usize = 24;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(CASES_AT_ONCE));
    let one_by_one = Arguments {
        test_threads: Some(1),
        ..arguments.clone()
    };

    let results = Results::from_env()?;
    let session = Session::from_env()?;
    let first = libtest_mimic::run(&arguments, cases::together(session, results));
    let mut failed = first.has_failed();
    let mut stage = |cases: Vec<Trial>| {
        failed |= libtest_mimic::run(&one_by_one, cases).has_failed();
    };
    if !arguments.list {
        let ran = first.num_passed + first.num_failed + first.num_ignored;
        let second = tries::second(session, results, usize::try_from(ran)?);
        if !second.is_empty() {
            stage(second);
        }
    }
    stage(cases::late(session, results));
    // The agents stop before each of them is tried alone.
    stage(cases::stops(session, results));
    stage(cases::alone(session, results));
    if !arguments.list {
        failed |= !results.end()?;
    }
    if failed {
        return Ok(ExitCode::from(101));
    }
    Ok(ExitCode::SUCCESS)
}
