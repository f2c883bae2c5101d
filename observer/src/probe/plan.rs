//! Which programs to try for which question, in which order.
//!
//! Takes the manifest, the shapes of the running kernel's hooks and the wished backend; gives
//! the candidates. Pure: nothing is loaded here.

use std::collections::BTreeMap;

use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::{Hook, PROGRAMS, Program, Question, Signature, Twin};

use super::Backend;
use super::kernel::Facts;
use super::layout::Shapes;

const NO_KPROBES: &str = "kprobes: this kernel has none that perf can make";

/// What to try for one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The question that it belongs to.
    pub(super) question: Question,
    /// The kind of record.
    pub(super) kind: Kind,
    /// The candidates, best first. Programs of one candidate attach together or not at all.
    pub(super) candidates: Vec<Vec<&'static Program>>,
    /// What attaches after the candidate, to report what the kernel skips there.
    pub(super) stand_in: Option<&'static Program>,
    /// What is not even tried, and why.
    pub(super) ruled_out: Vec<String>,
}

/// What to try, in the order in which to attach it.
///
/// State changes come last: any birth that is seen then has all the other probes already.
pub(super) fn plan(backend: Backend, facts: &Facts, shapes: &Shapes) -> Vec<Part> {
    let mut parts = Vec::new();
    for question in Question::ALL.into_iter().rev() {
        for kind in question.kinds() {
            let mut part = Part {
                question,
                kind: *kind,
                candidates: Vec::new(),
                stand_in: PROGRAMS
                    .iter()
                    .find(|program| program.kind == *kind && program.stands_in),
                ruled_out: Vec::new(),
            };
            for twin in twins(backend, question) {
                let sets = sets(*kind, twin, shapes);
                if twin == Twin::Kprobe && !facts.kprobes && !sets.is_empty() {
                    part.ruled_out.push(NO_KPROBES.to_owned());
                } else {
                    part.candidates.extend(sets);
                }
            }
            parts.push(part);
        }
    }
    parts
}

/// The twins to try. A forced backend without an answer falls to the tracepoint of that
/// question, never to another backend.
fn twins(backend: Backend, question: Question) -> Vec<Twin> {
    let first = question.first_choice();
    let columns = match backend {
        Backend::Auto => [first, Twin::Kprobe, Twin::Tracepoint],
        Backend::Fentry => [first, first, Twin::Tracepoint],
        Backend::Kprobe => [Twin::Kprobe, Twin::Kprobe, Twin::Tracepoint],
        Backend::Tracepoint => [Twin::Tracepoint; 3],
    };
    let mut twins = Vec::new();
    for twin in columns {
        if !twins.contains(&twin) {
            twins.push(twin);
        }
    }
    twins
}

/// The programs of a kind and twin that fit this kernel, as sets that attach together.
fn sets(kind: Kind, twin: Twin, shapes: &Shapes) -> Vec<Vec<&'static Program>> {
    let of = |wanted: Fit| {
        let mut sets: BTreeMap<u8, Vec<&'static Program>> = BTreeMap::new();
        let fitting = PROGRAMS.iter().filter(|program| {
            program.kind == kind
                && !program.stands_in
                && program.hook.twin() == twin
                && fit(program, shapes) == Some(wanted)
        });
        for program in fitting {
            sets.entry(program.set).or_default().push(program);
        }
        sets.into_values().collect::<Vec<_>>()
    };
    let known = of(Fit::Known);
    if known.is_empty() {
        of(Fit::Possible)
    } else {
        known
    }
}

/// How sure it is that a program fits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// BTF says so.
    Known,
    /// BTF lacks the function, as that of some kernels lacks every static one; a kprobe may
    /// still find it by its symbol.
    Possible,
}

/// Whether a program fits the hook that this kernel has.
fn fit(program: &Program, shapes: &Shapes) -> Option<Fit> {
    let shape = match program.hook {
        Hook::Tracepoint(name) => shapes.tracepoints.get(name),
        Hook::Fentry(name) | Hook::Fexit(name) | Hook::Kprobe(name) | Hook::Kretprobe(name) => {
            shapes.functions.get(name)
        }
    };
    let Some(shape) = shape else {
        let needs_nothing = matches!(program.fits, Signature::Any | Signature::NoReason);
        let by_symbol = program.hook.twin() == Twin::Kprobe && needs_nothing;
        return by_symbol.then_some(Fit::Possible);
    };
    let fits = match program.fits {
        Signature::Any => true,
        Signature::Args(count) => shape.args == usize::from(count),
        Signature::NoReason => shape.reason_at.is_none(),
        Signature::ReasonAt(position) => shape.reason_at == Some(usize::from(position)),
    };
    fits.then_some(Fit::Known)
}

#[cfg(test)]
mod tests {
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

    /// Asserts the candidates of a kind, in order, one set a word: `a+b` attach together.
    fn check(backend: Backend, shapes: &Shapes, kind: Kind, expected: &[&str]) {
        let parts = plan(backend, &Facts::capable(), shapes);
        let part = parts.iter().find(|part| part.kind == kind).unwrap();
        let found: Vec<String> = part
            .candidates
            .iter()
            .map(|set| {
                let names: Vec<&str> = set.iter().map(|program| program.name).collect();
                names.join("+")
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn state_changes_are_attached_last_and_every_kind_once() {
        let parts = plan(Backend::Auto, &Facts::capable(), &older());
        assert_eq!(parts.last().unwrap().kind, Kind::StateChanged);
        let mut kinds: Vec<Kind> = parts.iter().map(|part| part.kind).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, Kind::ALL);
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
        let parts = plan(Backend::Auto, &facts, &older());
        let state = parts.last().unwrap();
        let hooks = state.candidates.iter().flatten().map(|one| one.hook.twin());
        assert_eq!(hooks.collect::<Vec<_>>(), [Twin::Fentry, Twin::Tracepoint]);
        assert_eq!(state.ruled_out, [NO_KPROBES]);
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
}
