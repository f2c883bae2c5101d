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

use std::process::ExitCode;

use libtest_mimic::Arguments;

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
    // The agents stop before each of them is tried alone.
    let stages = [
        libtest_mimic::run(&arguments, cases::together(session, results)),
        libtest_mimic::run(&one_by_one, cases::stops(session, results)),
        libtest_mimic::run(&one_by_one, cases::alone(session, results)),
    ];
    if !arguments.list {
        results.end()?;
    }
    if stages.iter().any(libtest_mimic::Conclusion::has_failed) {
        return Ok(ExitCode::from(101));
    }
    Ok(ExitCode::SUCCESS)
}
