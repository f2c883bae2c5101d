//! Carrying the plan out, program by program.
//!
//! Takes the plan and the loaded object; gives an [`Outcome`] a part. A program that does not
//! load or attach is an outcome, and the next candidate is tried.

use std::io;

use aya::programs::{BtfTracePoint, FEntry, FExit, KProbe, Program as Loaded, ProgramError};
use aya::{Btf, Ebpf};
use observer_ebpf::wire::manifest::{Hook, Program};

use super::coverage::Outcome;
use super::obstacle::chain;
use super::plan::{Candidate, Part};

/// Lines of the verifier's log that a message shows.
const LOG_LINES: usize = 6;

/// What the lines of the verifier's statistics start with.
const STATISTICS: [&str; 3] = ["processed ", "verification time ", "stack depth "];

/// Attaches the parts in the order of the plan.
pub(super) fn carry_out(plan: &[Part], ebpf: &mut Ebpf, btf: &Btf) -> Vec<Outcome> {
    plan.iter().map(|part| attach(part, ebpf, btf)).collect()
}

fn attach(part: &Part, ebpf: &mut Ebpf, btf: &Btf) -> Outcome {
    let mut failures = Vec::new();
    let mut attached = Vec::new();
    for candidate in &part.candidates {
        let programs = match candidate {
            Candidate::Programs(programs) => programs,
            Candidate::RuledOut(why) => {
                failures.push((*why).to_owned());
                continue;
            }
        };
        match attach_all(programs, ebpf, btf) {
            Ok(()) => {
                attached.clone_from(programs);
                break;
            }
            Err(failure) => failures.push(failure),
        }
    }
    Outcome {
        question: part.question,
        kind: part.kind,
        attached,
        failures,
        left_out: part.left_out,
    }
}

/// Attaches every program of a candidate, or none.
fn attach_all(candidate: &[&'static Program], ebpf: &mut Ebpf, btf: &Btf) -> Result<(), String> {
    for (done, program) in candidate.iter().enumerate() {
        if let Err(failure) = attach_one(program, ebpf, btf) {
            for program in candidate.iter().take(done) {
                detach(program, ebpf);
            }
            return Err(failure);
        }
    }
    Ok(())
}

fn attach_one(program: &Program, ebpf: &mut Ebpf, btf: &Btf) -> Result<(), String> {
    let Some(loaded) = ebpf.program_mut(program.name) else {
        return Err(format!("{} is not in the object", program.name));
    };
    let done = load(program.hook, loaded, btf).and_then(|()| attach_loaded(program.hook, loaded));
    done.map_err(|error| {
        // What loads and does not attach would stay in the kernel until the agent ends.
        detach(program, ebpf);
        describe(program.name, &error)
    })
}

fn load(hook: Hook, program: &mut Loaded, btf: &Btf) -> Result<(), ProgramError> {
    match hook {
        Hook::Fentry(name) => <&mut FEntry>::try_from(program)?.load(name, btf),
        Hook::Fexit(name) => <&mut FExit>::try_from(program)?.load(name, btf),
        Hook::Kprobe(_) | Hook::Kretprobe(_) => <&mut KProbe>::try_from(program)?.load(),
        Hook::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, btf),
    }
}

fn attach_loaded(hook: Hook, program: &mut Loaded) -> Result<(), ProgramError> {
    match hook {
        Hook::Fentry(_) => <&mut FEntry>::try_from(program)?.attach().map(drop),
        Hook::Fexit(_) => <&mut FExit>::try_from(program)?.attach().map(drop),
        Hook::Kprobe(name) | Hook::Kretprobe(name) => {
            <&mut KProbe>::try_from(program)?.attach(name, 0).map(drop)
        }
        Hook::Tracepoint(_) => <&mut BtfTracePoint>::try_from(program)?.attach().map(drop),
    }
}

/// Takes a program out of the kernel again. That it fails leaves it there until the agent ends,
/// which costs time and loses nothing.
fn detach(program: &Program, ebpf: &mut Ebpf) {
    let detached = match ebpf.program_mut(program.name) {
        Some(Loaded::FEntry(loaded)) => loaded.unload(),
        Some(Loaded::FExit(loaded)) => loaded.unload(),
        Some(Loaded::KProbe(loaded)) => loaded.unload(),
        Some(Loaded::BtfTracePoint(loaded)) => loaded.unload(),
        _ => Ok(()),
    };
    match detached {
        Ok(()) | Err(ProgramError::NotLoaded) => {}
        Err(error) => {
            tracing::debug!(program = program.name, %error, "a program could not be detached");
        }
    }
}

/// The error in one line, with the end of the verifier's log where there is one.
fn describe(name: &str, error: &ProgramError) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other errors describe themselves"
    )]
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let log = last_lines(&log);
            if log.is_empty() {
                format!("{name} was refused: {io_error}")
            } else {
                format!("{name} was refused: {io_error}; the verifier's last words: {log}")
            }
        }
        ProgramError::SyscallError(error) => {
            format!("{name} did not attach: {}", reason(&error.io_error))
        }
        error => format!("{name} did not attach: {}", chain(error)),
    }
}

/// The kernel's reason in words. `ENOTSUPP` is its own: the C library has no text for it.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/errno.h#L27>
fn reason(error: &io::Error) -> String {
    const ENOTSUPP: i32 = 524;
    match error.raw_os_error() {
        Some(ENOTSUPP) => {
            format!("the kernel does not support it on this processor (error {ENOTSUPP}, ENOTSUPP)")
        }
        _ => error.to_string(),
    }
}

/// The end of a verifier log, without its statistics.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word)))
        .collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines.get(from..).unwrap_or_default().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::{io, last_lines, reason};

    #[test]
    fn an_error_that_only_the_kernel_knows_has_words() {
        let unsupported = reason(&io::Error::from_raw_os_error(524));
        assert!(unsupported.contains("does not support"), "{unsupported}");
        let denied = reason(&io::Error::from_raw_os_error(1));
        assert!(denied.contains("os error 1"), "{denied}");
    }

    #[test]
    fn the_last_words_of_the_verifier_leave_its_statistics_out() {
        let log = "0: R1=ctx()\n1: (79) r6 = *(u64 *)(r1 +0)\n\nR6 invalid mem access\n\
                   verification time 260 usec\nstack depth 48+0\nprocessed 2 insns (limit 1000000)\n";
        let last = last_lines(log);
        assert_eq!(
            last,
            "0: R1=ctx() | 1: (79) r6 = *(u64 *)(r1 +0) | R6 invalid mem access"
        );
    }
}
