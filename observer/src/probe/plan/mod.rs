//! Which programs to try for which question, in which order.
//!
//! Takes the manifest, the shapes of the running kernel's hooks, the wished backend and what
//! to leave out; gives the candidates. Pure: nothing is loaded here.

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
    /// The candidates, best first.
    pub(super) candidates: Vec<Candidate>,
    /// Nothing is tried, on request.
    pub(super) left_out: bool,
}

/// One way to get a kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// Programs that attach together or not at all.
    Programs(Vec<&'static Program>),
    /// What is not even tried, and why.
    RuledOut(&'static str),
}

/// What to try, in the order in which to attach it.
///
/// State changes come last: any birth that is seen then has all the other probes already.
pub(super) fn plan(
    backend: Backend,
    without: &[Kind],
    facts: &Facts,
    shapes: &Shapes,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for question in Question::ALL.into_iter().rev() {
        for kind in question.kinds() {
            if without.contains(kind) {
                parts.push(left_out(question, *kind));
                continue;
            }
            let candidates = twins(backend, question)
                .into_iter()
                .flat_map(|twin| candidates(*kind, twin, facts, shapes))
                .collect();
            parts.push(Part {
                question,
                kind: *kind,
                candidates,
                left_out: false,
            });
        }
    }
    parts
}

const fn left_out(question: Question, kind: Kind) -> Part {
    Part {
        question,
        kind,
        candidates: Vec::new(),
        left_out: true,
    }
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

fn candidates(kind: Kind, twin: Twin, facts: &Facts, shapes: &Shapes) -> Vec<Candidate> {
    let sets = sets(kind, twin, shapes);
    if twin == Twin::Kprobe && !facts.kprobes && !sets.is_empty() {
        return vec![Candidate::RuledOut(NO_KPROBES)];
    }
    let wanted = |program: &&Program| facts.preempts || !program.reserve;
    sets.into_iter()
        .map(|set| Candidate::Programs(set.into_iter().filter(wanted).collect()))
        .collect()
}

/// The programs of a kind and twin that fit this kernel, as sets that attach together.
fn sets(kind: Kind, twin: Twin, shapes: &Shapes) -> Vec<Vec<&'static Program>> {
    let of = |wanted: Fit| {
        let mut sets: BTreeMap<u8, Vec<&'static Program>> = BTreeMap::new();
        let fitting = PROGRAMS.iter().filter(|program| {
            program.kind == kind
                && program.hook.twin() == twin
                && fit(program, shapes) == Some(wanted)
        });
        for program in fitting {
            sets.entry(program.set).or_default().push(program);
        }
        for set in sets.values_mut() {
            set.extend(beside(kind, twin, shapes));
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

/// What attaches together with each set of a kind and twin, from another twin.
fn beside(kind: Kind, twin: Twin, shapes: &Shapes) -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(move |program| {
        program.kind == kind
            && program.beside.contains(&twin)
            && fit(program, shapes) == Some(Fit::Known)
    })
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
mod tests;
