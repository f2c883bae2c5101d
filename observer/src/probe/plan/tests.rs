//! What is tried on which kernel, in which order.

use super::*;
use crate::probe::layout::Shape;

/// The hooks of a 6.1 kernel, as far as the tests look at them.
fn older() -> Shapes {
    shapes(
        &[
            ("tcp_set_state", 2, None),
            ("tcp_send_active_reset", 2, None),
            ("tcp_reset", 2, None),
            ("inet_twsk_hashdance", 3, None),
            ("tcp_timewait_state_process", 3, None),
            ("inet_twsk_kill", 1, None),
            ("tcp_v4_send_reset", 2, None),
            ("tcp_v6_send_reset", 2, None),
        ],
        &[
            ("inet_sock_set_state", 3, None),
            ("tcp_send_reset", 2, None),
        ],
    )
}

fn shapes(
    functions: &[(&str, usize, Option<usize>)],
    tracepoints: &[(&str, usize, Option<usize>)],
) -> Shapes {
    let table = |rows: &[(&str, usize, Option<usize>)]| {
        rows.iter()
            .map(|(name, args, reason_at)| {
                let shape = Shape {
                    args: *args,
                    reason_at: *reason_at,
                };
                ((*name).to_owned(), shape)
            })
            .collect()
    };
    Shapes {
        functions: table(functions),
        tracepoints: table(tracepoints),
    }
}

/// Asserts the candidates of a kind, in order, one set a word: `a+b` attach together. What is shown
/// the same again is left out.
fn check(backend: Backend, shapes: &Shapes, kind: Kind, expected: &[&str]) {
    let parts = plan(backend, &[], &Facts::capable(), shapes);
    let part = parts.iter().find(|part| part.kind == kind).unwrap();
    let found: Vec<String> = part.candidates.iter().map(words).collect();
    assert_eq!(found, expected);
}

fn words(candidate: &Candidate) -> String {
    match candidate {
        Candidate::Programs(programs) => {
            let first = programs.iter().filter(|program| !program.again);
            let names: Vec<&str> = first.map(|program| program.name).collect();
            names.join("+")
        }
        Candidate::RuledOut(why) => (*why).to_owned(),
    }
}

#[test]
fn state_changes_are_attached_last_and_every_kind_once() {
    let parts = plan(Backend::Auto, &[], &Facts::capable(), &older());
    assert_eq!(parts.last().unwrap().kind, Kind::StateChanged);
    let mut kinds: Vec<Kind> = parts.iter().map(|part| part.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn what_is_left_out_on_request_has_no_candidate() {
    let parts = plan(
        Backend::Auto,
        &[Kind::Destroyed],
        &Facts::capable(),
        &older(),
    );
    let (without, with): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.left_out);
    let kinds: Vec<Kind> = without.iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [Kind::Destroyed]);
    assert!(without[0].candidates.is_empty());
    assert_eq!(with.len() + 1, Kind::ALL.len());
}

#[test]
fn auto_tries_all_twins_the_trampoline_first() {
    check(
        Backend::Auto,
        &older(),
        Kind::StateChanged,
        &[
            "fentry_tcp_set_state",
            "kprobe_tcp_set_state",
            "tp_inet_sock_set_state",
        ],
    );
}

#[test]
fn what_is_shown_in_turn_attaches_together_also_from_within_the_function() {
    let parts = plan(Backend::Auto, &[], &Facts::capable(), &older());
    let state = parts.last().unwrap();
    let again = ["tp_inet_sock_set_state_2", "tp_inet_sock_set_state_3"];
    let first = [
        "fentry_tcp_set_state",
        "kprobe_tcp_set_state",
        "tp_inet_sock_set_state",
    ];
    for (candidate, first) in state.candidates.iter().zip(first) {
        let Candidate::Programs(programs) = candidate else {
            panic!("{candidate:?}");
        };
        let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
        assert_eq!(names, [first, again[0], again[1]]);
    }
}

#[test]
fn a_third_program_is_for_kernels_that_preempt_tasks() {
    let facts = Facts {
        preempts: false,
        ..Facts::capable()
    };
    let parts = plan(Backend::Auto, &[], &facts, &older());
    let mut programs = 0;
    for candidate in parts.iter().flat_map(|part| &part.candidates) {
        if let Candidate::Programs(set) = candidate {
            assert!(set.iter().all(|program| !program.reserve), "{set:?}");
            programs += set.iter().filter(|program| program.again).count();
        }
    }
    assert!(programs > 0);
}

#[test]
fn every_program_that_is_shown_events_again_has_a_first_beside_it() {
    let again = || PROGRAMS.iter().filter(|program| program.again);
    assert!(again().count() > 0);
    for program in again() {
        let is_its = |first: &&Program| {
            !first.again
                && (first.kind, first.hook, first.fits, first.set)
                    == (program.kind, program.hook, program.fits, program.set)
        };
        let beside = again().filter(|other| {
            (other.kind, other.hook, other.fits) == (program.kind, program.hook, program.fits)
        });
        assert_eq!(PROGRAMS.iter().filter(is_its).count(), 1, "{program:?}");
        let mut reserve: Vec<bool> = beside.map(|other| other.reserve).collect();
        reserve.sort_unstable();
        assert_eq!(
            reserve,
            [false, true],
            "the probes count on it: {program:?}"
        );
    }
}

#[test]
fn a_forced_backend_falls_to_the_tracepoint_and_nowhere_else() {
    let kind = Kind::StateChanged;
    let fentry = ["fentry_tcp_set_state", "tp_inet_sock_set_state"];
    check(Backend::Fentry, &older(), kind, &fentry);
    let kprobe = ["kprobe_tcp_set_state", "tp_inet_sock_set_state"];
    check(Backend::Kprobe, &older(), kind, &kprobe);
    check(Backend::Tracepoint, &older(), kind, &fentry[1..]);
    check(Backend::Tracepoint, &older(), Kind::MinisockEnded, &[]);
}

#[test]
fn kprobes_are_not_tried_where_the_kernel_has_none() {
    let facts = Facts {
        kprobes: false,
        ..Facts::capable()
    };
    let parts = plan(Backend::Auto, &[], &facts, &older());
    let state = parts.last().unwrap();
    let found: Vec<String> = state.candidates.iter().map(words).collect();
    let expected = ["fentry_tcp_set_state", NO_KPROBES, "tp_inet_sock_set_state"];
    assert_eq!(found, expected);
}

#[test]
fn replies_prefer_the_tracepoint_unless_kprobes_are_forced() {
    let kind = Kind::ResetReplied;
    let tracepoint = "tp_tcp_send_reset_reply";
    let kprobes = "kprobe_tcp_v4_send_reset+kprobe_tcp_v6_send_reset";
    check(Backend::Auto, &older(), kind, &[tracepoint, kprobes]);
    check(Backend::Fentry, &older(), kind, &[tracepoint]);
    check(Backend::Kprobe, &older(), kind, &[kprobes, tracepoint]);
}

#[test]
fn the_place_of_the_reset_reason_chooses_the_program() {
    let kind = Kind::ResetSent;
    let none = ["fentry_tcp_send_active_reset", "tp_tcp_send_reset_active"];
    check(Backend::Fentry, &older(), kind, &none);
    for (args, at) in [(3, 2), (2, 1)] {
        let shapes = shapes(&[("tcp_send_active_reset", args, Some(at))], &[]);
        let name = format!("fentry_tcp_send_active_reset_reason{at}");
        check(Backend::Fentry, &shapes, kind, &[&name]);
    }
}

#[test]
fn a_signature_that_no_program_knows_is_left_alone() {
    let strange = shapes(&[("tcp_timewait_state_process", 9, None)], &[]);
    check(Backend::Fentry, &strange, Kind::MinisockAnswered, &[]);
}

#[test]
fn an_entry_and_a_return_probe_that_need_each_other_attach_together() {
    check(
        Backend::Kprobe,
        &older(),
        Kind::MinisockAnswered,
        &["kretprobe_tcp_timewait_state_process+kprobe_tcp_timewait_state_process"],
    );
}

#[test]
fn a_function_that_btf_lacks_is_tried_by_symbol_only_if_nothing_else_is_known() {
    let kind = Kind::MinisockStarted;
    let known = ["kprobe_inet_twsk_hashdance"];
    check(Backend::Kprobe, &older(), kind, &known);
    let by_symbol = [
        "kprobe_inet_twsk_hashdance_schedule",
        "kprobe_inet_twsk_hashdance",
    ];
    check(Backend::Kprobe, &Shapes::default(), kind, &by_symbol);
    check(Backend::Fentry, &Shapes::default(), kind, &[]);
}
