//! Why the agent cannot run here, or not in full, and what to do about it.
//!
//! Takes facts and outcomes; gives a [`StartError`], or advice. Pure.

use observer_ebpf::wire::manifest::{Question, Twin};

use super::coverage::Outcome;
use super::kernel::{BTF, Facts};
use super::{Answer, Backend, StartError};

/// What the facts alone rule out.
pub(super) fn obstacle(facts: &Facts) -> Option<StartError> {
    let release = &facts.release;
    if !facts.missing_capabilities.is_empty() {
        let missing = facts.missing_capabilities.join(" and ");
        return Some(StartError::Privileges(format!(
            "not enough privileges to load probes: {missing} missing; run as root, or grant \
             CAP_BPF and CAP_PERFMON (systemd: AmbientCapabilities=CAP_BPF CAP_PERFMON)"
        )));
    }
    if !facts.btf {
        return Some(StartError::Kernel(format!(
            "{BTF} does not exist, and the probes find the kernel's structures there; use a \
             kernel built with CONFIG_DEBUG_INFO_BTF=y (this is {release}), and mount sysfs"
        )));
    }
    if facts.ring_buffer == Some(false) {
        return Some(StartError::Kernel(format!(
            "kernel {release} has no BPF ring buffer, which came with Linux 5.8; use a newer \
             kernel"
        )));
    }
    if facts.lockdown.as_deref() == Some("confidentiality") {
        return Some(StartError::Kernel(
            "the kernel is locked down in mode `confidentiality`, in which no probe may read \
             its memory; boot with lockdown=integrity or lockdown=none"
                .to_owned(),
        ));
    }
    None
}

/// Why nothing useful is attached; `None` if something is. Without state changes no
/// connection is seen.
pub(super) fn nothing_works(outcomes: &[Outcome]) -> Option<StartError> {
    let state = || {
        outcomes
            .iter()
            .filter(|one| one.question == Question::State)
    };
    if state().any(|one| !one.attached.is_empty()) {
        return None;
    }
    let failures: Vec<&str> = state()
        .flat_map(|one| one.failures.iter().map(String::as_str))
        .collect();
    let why = if failures.is_empty() {
        "this kernel has none of the hooks that the chosen backend needs".to_owned()
    } else {
        failures.join("; ")
    };
    Some(StartError::Load(format!(
        "no probe for state changes could be attached: {why}; try `--backend auto`, and see \
         `tcp-observer check`"
    )))
}

/// What became of a wish for one backend that this kernel does not grant at all; `None` if some
/// of its programs are attached, or no certain one was wished for.
pub(super) fn not_granted(wish: Backend, answers: &[Answer]) -> Option<String> {
    let (name, prefixes) = match wish {
        Backend::Fentry => ("fentry", ["fentry_", "fexit_"]),
        Backend::Kprobe => ("kprobe", ["kprobe_", "kretprobe_"]),
        Backend::Auto | Backend::Tracepoint => return None,
    };
    let is_of_it = |text: &str| prefixes.iter().any(|prefix| text.starts_with(prefix));
    let mut attached = answers.iter().flat_map(|answer| &answer.programs);
    if attached.any(|program| is_of_it(program)) {
        return None;
    }
    let mut failures = answers.iter().flat_map(|answer| &answer.failures);
    let why = failures
        .find(|failure| is_of_it(failure))
        .or_else(|| answers.iter().find_map(|answer| answer.failures.first()))
        .map_or("this kernel has no hook for it", String::as_str);
    Some(format!(
        "--backend {name}: this kernel refuses it, and tracepoints alone are used, which see less \
         ({why}); `--backend auto` takes the best that works"
    ))
}

/// Why the object did not load.
pub(super) fn not_loaded(error: &aya::EbpfError) -> StartError {
    let text = chain(error);
    if text.contains("os error 1)") {
        return StartError::Privileges(format!(
            "the kernel refused to load the probes: {text}; in a container or a user namespace \
             grant CAP_BPF and CAP_PERFMON in the initial user namespace and allow bpf() in its \
             seccomp filter; before Linux 5.11 also raise RLIMIT_MEMLOCK"
        ));
    }
    StartError::Load(format!(
        "the probes do not load: {text}; please report it with the output of \
         `tcp-observer check`"
    ))
}

/// What to do about what is missing, one line a gap; none if nothing is.
pub(super) fn advice(facts: &Facts, answers: &[Answer]) -> Vec<String> {
    let mut advice = Vec::new();
    let tried_and_failed = |prefixes: &[&str]| {
        answers
            .iter()
            .flat_map(|answer| &answer.failures)
            .any(|failure| prefixes.iter().any(|prefix| failure.starts_with(prefix)))
    };
    if tried_and_failed(&["fentry_", "fexit_"]) {
        advice.push(
            "trampolines (fentry) are refused here: they need CONFIG_FUNCTION_TRACER and \
             CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS (on arm64 Linux 6.4), and a kernel that \
             is not locked down"
                .to_owned(),
        );
    }
    if !facts.kprobes {
        advice.push(
            "this kernel has no kprobes for perf: they need CONFIG_KPROBE_EVENTS, and sysfs \
             mounted"
                .to_owned(),
        );
    } else if tried_and_failed(&["kprobe_", "kretprobe_"]) {
        advice.push("some kprobes are refused here; the failures say why".to_owned());
    }
    let limited = |answer: &&Answer| {
        answer.blind_to.is_some() && answer.failures.is_empty() && answer.left_out.is_empty()
    };
    advice.extend(answers.iter().filter(limited).map(within_limits));
    let left_out: Vec<&str> = answers
        .iter()
        .flat_map(|answer| answer.left_out.iter().copied())
        .collect();
    if !left_out.is_empty() {
        advice.push(format!("drop `--without {}`", left_out.join(",")));
    }
    advice
}

/// What to do about a question whose probe attached at once and yet cannot tell all.
fn within_limits(answer: &Answer) -> String {
    let question = answer.question;
    if question == Question::ResetReply.label() {
        return format!("{question}: Linux 6.12 shows all of it; here `--backend kprobe` does");
    }
    let by_tracepoint = answer.twin == Some(Twin::Tracepoint.label());
    if question == Question::ResetReceived.label() && !by_tracepoint {
        return format!("{question}: Linux 5.15 shows it to fentry and kprobes; 5.10 cannot");
    }
    format!("{question}: `--backend auto` picks a probe that may show more")
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(facts: &Facts, expected: &[&str]) {
        let text = obstacle(facts).map(|error| error.to_string());
        let text = text.unwrap_or_default();
        for word in expected {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
        assert_eq!(text.is_empty(), expected.is_empty());
    }

    #[test]
    fn a_capable_kernel_has_no_obstacle() {
        check(&Facts::capable(), &[]);
    }

    #[test]
    fn a_missing_capability_is_named_before_anything_else() {
        let facts = Facts {
            missing_capabilities: vec!["CAP_PERFMON"],
            btf: false,
            ..Facts::capable()
        };
        check(&facts, &["CAP_PERFMON missing", "AmbientCapabilities"]);
    }

    #[test]
    fn each_lack_of_the_kernel_has_its_remedy() {
        let no_btf = Facts {
            btf: false,
            ..Facts::capable()
        };
        check(&no_btf, &["CONFIG_DEBUG_INFO_BTF", "6.1.0"]);
        let old = Facts {
            ring_buffer: Some(false),
            ..Facts::capable()
        };
        check(&old, &["ring buffer", "5.8"]);
        let locked = Facts {
            lockdown: Some("confidentiality".to_owned()),
            ..Facts::capable()
        };
        check(&locked, &["confidentiality", "lockdown=integrity"]);
    }

    #[test]
    fn lockdown_for_integrity_alone_is_no_obstacle() {
        let locked = Facts {
            lockdown: Some("integrity".to_owned()),
            ..Facts::capable()
        };
        check(&locked, &[]);
    }

    #[test]
    fn a_backend_that_the_kernel_refuses_is_said_with_its_reason() {
        let mut answer = Answer {
            question: "state",
            asks: "a connection changed state",
            twin: Some("tracepoint"),
            programs: vec!["tp_inet_sock_set_state"],
            kinds: BTreeMap::new(),
            left_out: Vec::new(),
            failures: vec!["fentry_tcp_set_state did not attach: unsupported".to_owned()],
            blind_to: None,
        };
        let told = not_granted(Backend::Fentry, std::slice::from_ref(&answer)).unwrap();
        assert!(
            told.contains("fentry_tcp_set_state did not attach"),
            "{told}"
        );
        assert_eq!(
            not_granted(Backend::Auto, std::slice::from_ref(&answer)),
            None
        );
        answer.programs = vec!["fentry_tcp_set_state"];
        assert_eq!(not_granted(Backend::Fentry, &[answer]), None);
    }

    #[test]
    fn without_state_changes_nothing_works_and_the_failures_are_told() {
        let outcome = Outcome {
            question: Question::State,
            kind: observer_ebpf::wire::Kind::StateChanged,
            attached: Vec::new(),
            failures: vec!["fentry_tcp_set_state was refused: EINVAL".to_owned()],
            left_out: false,
        };
        let error = nothing_works(&[outcome]).unwrap().to_string();
        assert!(
            error.contains("fentry_tcp_set_state was refused"),
            "{error}"
        );
    }
}
