//! The kernel side, from user space: what this kernel offers, which probe answers which
//! question, and the ring that their records come through.
//!
//! Takes a [`Backend`] wish; gives [`Probes`] that are attached until dropped, or a
//! [`StartError`] that says what to do. What did not attach is data ([`Coverage`]), never
//! an error, unless nothing works.

mod attach;
mod btf;
mod coverage;
mod kernel;
mod layout;
mod load;
mod log;
mod misses;
mod obstacle;
mod plan;
mod preemption;
mod ring;
mod shared;

use std::collections::BTreeMap;

use observer_ebpf::wire::Kind;

use crate::event::Vocabulary;
use crate::selection::Selection;
use crate::track::Sight;

pub use kernel::Facts;
pub use ring::{GATHER, Ring};

/// Which twin of each probe to prefer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The best that loads, question by question.
    #[default]
    Auto,
    /// BPF trampolines (and BTF tracepoints where they are the first choice).
    Fentry,
    /// kprobes and kretprobes.
    Kprobe,
    /// BTF tracepoints only.
    Tracepoint,
}

/// How the probes are to be loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which twins.
    pub backend: Backend,
    /// Kinds of records whose probes are not attached.
    pub without: Vec<Kind>,
    /// Whether the probes may log (`aya-log`).
    pub kernel_log: bool,
    /// Bytes of the ring buffer: a power of two, a multiple of the page size. `None`: as many as
    /// fit the CPUs.
    pub ring_bytes: Option<u32>,
    /// Whether the user stack follows the records of those who connect and accept.
    pub stacks: bool,
    /// Which connections have records.
    pub selection: Selection,
}

/// The attached probes. Dropping them detaches everything.
#[derive(Debug)]
pub struct Probes {
    /// Where their records come from.
    pub ring: Ring,
    /// The running kernel's numbers.
    pub vocabulary: Vocabulary,
    /// What is answered by which twin, and what is not.
    pub coverage: Coverage,
    /// That the wished backend is not the one in use, and why.
    pub not_granted: Option<String>,
    /// Holds the programs, which detach when it goes.
    _object: aya::Ebpf,
    /// Reads what the probes log, if they may.
    _log: Option<log::KernelLog>,
}

/// Which twin answers each question, and what the agent is blind to.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// One a question, in the order of the manifest.
    pub answers: Vec<Answer>,
    /// Which connections there are records of, as options; empty: of all.
    pub filters: Vec<String>,
    /// What the core may rely on.
    pub sight: Sight,
}

/// How one question is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The question's label, such as `state`.
    pub question: &'static str,
    /// The question in words.
    pub asks: &'static str,
    /// `fentry`, `kprobe` or `tracepoint`; `None`: not answered directly.
    pub twin: Option<&'static str>,
    /// Programs attached for it.
    pub programs: Vec<&'static str>,
    /// The same for each kind of record that it takes to answer.
    pub kinds: BTreeMap<&'static str, Vec<&'static str>>,
    /// The kinds whose probes were left out on request.
    pub left_out: Vec<&'static str>,
    /// What was tried first and failed, and why.
    pub failures: Vec<String>,
    /// What the agent cannot see, or must infer, because of it.
    pub blind_to: Option<&'static str>,
}

/// Why the agent cannot run here. Each message names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not enough privileges.
    #[error("{0}")]
    Privileges(String),
    /// The kernel lacks something.
    #[error("{0}")]
    Kernel(String),
    /// The object did not load.
    #[error("{0}")]
    Load(String),
}

/// What this kernel and these privileges allow.
#[derive(Debug)]
pub struct Survey {
    /// What was found out about the kernel.
    pub facts: Facts,
    /// What the agent would see, or why it cannot run.
    pub coverage: Result<Coverage, StartError>,
    /// That the wished backend would not be the one in use, and why.
    pub not_granted: Option<String>,
    /// What to do about what is missing, one line a gap.
    pub advice: Vec<String>,
}

/// Loads and attaches the probes. Needs a tokio runtime around it.
pub fn attach(options: &Options) -> Result<Probes, StartError> {
    let mut attached = load::load(options, &kernel::facts())?;
    let log = if options.kernel_log {
        Some(log::KernelLog::start(&mut attached.ebpf)?)
    } else {
        None
    };
    let maps = load::maps(&mut attached.ebpf)?;
    let misses = misses::Misses::new(&attached.outcomes, &attached.ebpf);
    let ring = Ring::new(maps, misses)
        .map_err(|error| StartError::Load(format!("the ring cannot be polled: {error}")))?;
    let mut coverage = coverage::coverage(&attached.outcomes, &attached.layout.misread);
    coverage.filters = options.selection.words();
    Ok(Probes {
        ring,
        vocabulary: attached.layout.vocabulary,
        not_granted: obstacle::not_granted(options.backend, &coverage.answers),
        coverage,
        _object: attached.ebpf,
        _log: log,
    })
}

/// Tries what [`attach()`] would attach, and leaves nothing attached.
pub fn survey(options: &Options) -> Survey {
    let facts = kernel::facts();
    let coverage = load::load(options, &facts)
        .map(|tried| coverage::coverage(&tried.outcomes, &tried.layout.misread));
    let advice = coverage
        .as_ref()
        .map(|coverage| obstacle::advice(&facts, &coverage.answers))
        .unwrap_or_default();
    let answers = coverage.as_ref().map(|coverage| &coverage.answers);
    let not_granted = answers
        .ok()
        .and_then(|answers| obstacle::not_granted(options.backend, answers));
    Survey {
        facts,
        coverage,
        not_granted,
        advice,
    }
}
