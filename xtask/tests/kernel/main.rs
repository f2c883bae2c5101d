//! The kernel tests: real sockets end in many ways, and every backend of the agent must
//! say what happened.
//!
//! Takes the agent's path in `TCP_OBSERVER_BIN`, the backends in `KERNEL_TEST_BACKENDS` (by
//! default those that attach here) and those of them that this kernel may refuse in
//! `KERNEL_TEST_MAY_LACK`, a file for results in `KERNEL_TEST_RESULTS`, and
//! `KERNEL_TEST_ONE_PER_ENDING` to perform one scenario for each ending only, and of the cases
//! with agents of their own those that may depend on the processor. With `KERNEL_TEST_MUTATE`
//! set it makes the mutation check instead, and with `KERNEL_TEST_OPTIONS` the agents that judge
//! the scenarios have these options too, in VMs as well: by hand, with a filter that lets all through,
//! nothing may change.
//! Needs root; without it, or without an agent, every case is skipped in plain sight.
#![expect(clippy::print_stdout, reason = "a test harness prints")]

mod again;
mod apart;
mod at_once;
mod audited;
mod backends;
mod btf;
mod buildup;
mod cases;
mod coarser;
mod elsewhere;
mod endings;
mod explained;
mod filtered;
mod herd;
mod inferred;
mod judgement;
mod leak_truth;
mod leaks;
mod lives;
mod loaded;
mod lossy;
mod mixed;
mod mounted;
mod mutate;
mod portless;
mod remains;
mod results;
mod session;
mod stacks;
mod stalled;
mod thrifty;
mod tries;
mod watched;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use results::Results;
use session::Session;

/// Cases wait far more than they work, also on an emulated machine with two CPUs.
const CASES_AT_ONCE: usize = 24;

/// Cases that start an agent each wait for its intervals.
const AGENTS_AT_ONCE: usize = 8;

fn main() -> anyhow::Result<ExitCode> {
    if let Ok(to) = env::var(filtered::CONNECT) {
        filtered::connect(&to)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(CASES_AT_ONCE));
    let one_by_one = Arguments {
        test_threads: Some(1),
        ..arguments.clone()
    };

    let few_at_once = Arguments {
        test_threads: Some(AGENTS_AT_ONCE),
        ..arguments.clone()
    };
    let results = Results::from_env()?;
    let session = Session::from_env()?;
    if env::var_os(mutate::WANTED).is_some() {
        let failed = mutate::run(&arguments, session, results)?;
        return Ok(exit(failed | !(arguments.list || results.end()?)));
    }
    let first = libtest_mimic::run(&arguments, cases::together(session, results));
    let host_wide = libtest_mimic::run(&one_by_one, cases::host_wide(session, results));
    let mut failed = first.has_failed() | host_wide.has_failed();
    let mut stage = |cases: Vec<Trial>| {
        failed |= libtest_mimic::run(&one_by_one, cases).has_failed();
    };
    if !arguments.list {
        let ran = [&first, &host_wide]
            .iter()
            .map(|it| it.num_passed + it.num_failed + it.num_ignored)
            .sum::<u64>();
        let second = tries::second(session, results, usize::try_from(ran)?);
        if !second.is_empty() {
            stage(second);
        }
    }
    stage(cases::late(session, results));
    stage(endings::table(session, results));
    // The agents stop before each of them is tried alone.
    stage(lives::stops(session, results));
    stage(lives::alone(session, results));
    stage(backends::auto(session, results));
    // Their namespaces go away, so nothing may be judged by a namespace's number after them.
    let own = with_agents_of_their_own(session, results);
    failed |= libtest_mimic::run(&few_at_once, own).has_failed();
    if !arguments.list {
        let second = again::second(session, results);
        failed |= !second.is_empty() && libtest_mimic::run(&one_by_one, second).has_failed();
    }
    failed |= libtest_mimic::run(&arguments, leaks::cases(session, results)).has_failed();
    failed |= libtest_mimic::run(&one_by_one, mixed::cases(session, results)).has_failed();
    if !session.one_per_ending {
        let mut alone = stalled::host_wide(session, results);
        // Its load leaves no other agent in a small machine the CPU that a census takes.
        alone.extend(thrifty::cases(session, results));
        failed |= libtest_mimic::run(&one_by_one, alone).has_failed();
    }
    if !arguments.list {
        failed |= !results.end()?;
    }
    Ok(exit(failed))
}

/// Cases of which each starts an agent. With one scenario for each ending, those that may depend
/// on the processor: stacks, and what is read of the kernel's sockets.
fn with_agents_of_their_own(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut own = watched::cases(session, results);
    own.extend(lossy::cases(session, results));
    own.extend(stacks::cases(session, results));
    own.extend(filtered::cases(session, results));
    if session.one_per_ending {
        return own;
    }
    own.extend(audited::cases(session, results));
    own.extend(stalled::cases(session, results));
    own.extend(buildup::cases(session, results));
    own.extend(portless::cases(session, results));
    own.extend(remains::cases(session, results));
    own.extend(elsewhere::cases(session, results));
    own
}

fn exit(failed: bool) -> ExitCode {
    if failed {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}
