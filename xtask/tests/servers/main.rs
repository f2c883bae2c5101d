//! Real servers that leak, or only seem to: Python, nginx and a container of runc; and the status
//! page in a real browser.
//!
//! Takes the agent's path in `TCP_OBSERVER_BIN` and a folder in `SERVER_TEST_FOLDER`. Needs root
//! and the programs; without them every case is skipped in plain sight.

mod container;
#[path = "../kernel/leak_truth.rs"]
mod leak_truth;
mod page;
mod ports;
mod proxy;
mod python;
mod stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Cases wait far more than they work.
const CASES_AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(CASES_AT_ONCE));
    let cases = [
        (
            "asyncio_server_forgets_to_close",
            python::asyncio as stage::Case,
        ),
        ("threads_of_a_server_are_stuck", python::threads),
        ("slow_but_honest_server_is_no_leak", python::honest),
        ("nginx_closes_what_its_upstream_closed", proxy::honest),
        ("stopped_worker_of_nginx_leaks", proxy::stopped),
        ("client_loop_is_told_before_it_fails", ports::exhausted),
        ("container_of_runc_is_named", container::named),
        ("status_page_tells_and_updates_itself", page::live),
        ("status_page_can_be_read_and_operated_by_all", page::for_all),
    ];
    let trials = cases.map(|(name, case)| stage::trial(name, case));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
