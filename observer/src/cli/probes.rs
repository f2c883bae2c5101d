//! How to load the probes: what may be typed.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use observer_ebpf::wire::Kind;

use super::Log;
use crate::selection::Selection;
use crate::{probe, settings};

/// How to load the probes.
#[derive(Clone, Debug, Args)]
pub struct Probes {
    /// Which kind of probe to prefer
    #[arg(long, value_enum, value_name = "BACKEND", default_value = "auto")]
    pub backend: Backend,

    /// Do not attach the probes of this KIND; may be repeated, and KINDs be joined by commas.
    /// To see what a probe costs, or to avoid one on a kernel that it troubles: what it tells is
    /// then inferred or missed, as `check` says
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    pub without: Vec<Kind>,

    /// Memory for records on their way from the kernel, a power of two [default: 4MiB for each CPU,
    /// but 32MiB at least and 128MiB at most]
    #[arg(long, value_name = "SIZE", value_parser = settings::ring_bytes)]
    pub ring_size: Option<u32>,
}

impl Probes {
    /// The same in the words of the loader.
    pub fn options(&self, log: &Log) -> probe::Options {
        probe::Options {
            backend: self.backend.into(),
            without: self.without.clone(),
            kernel_log: log.kernel,
            ring_bytes: self.ring_size,
            stacks: false,
            selection: Selection::default(),
        }
    }
}

/// Which kind of probe to prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The best that loads, question by question
    Auto,
    /// BPF trampolines
    Fentry,
    /// kprobes and kretprobes
    Kprobe,
    /// BTF tracepoints only
    Tracepoint,
}

impl From<Backend> for probe::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Fentry => Self::Fentry,
            Backend::Kprobe => Self::Kprobe,
            Backend::Tracepoint => Self::Tracepoint,
        }
    }
}

/// Accepts the kinds of records but for the one that all else rests on.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    let value = |kind: Kind| PossibleValue::new(kind.label()).hide(kind == Kind::StateChanged);
    PossibleValuesParser::new(Kind::ALL.map(value)).try_map(|label| {
        match Kind::ALL.into_iter().find(|kind| kind.label() == label) {
            Some(Kind::StateChanged) => Err("without state changes no connection is seen"),
            Some(kind) => Ok(kind),
            None => Err("not a kind of record"),
        }
    })
}
