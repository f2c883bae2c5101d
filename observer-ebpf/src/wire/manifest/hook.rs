//! Where a program attaches, and by what means.
//!
//! Takes a kernel function or tracepoint; gives the hook. Never a number of a particular kernel.

/// By what means a probe is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twin {
    /// A BPF trampoline: fentry or fexit.
    Fentry,
    /// A kprobe or kretprobe.
    Kprobe,
    /// A BTF tracepoint.
    Tracepoint,
}

impl Twin {
    /// The name that metrics and messages use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// Where a program attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Entry of a kernel function, by trampoline.
    Fentry(&'static str),
    /// Return of a kernel function, by trampoline.
    Fexit(&'static str),
    /// Entry of a kernel function, by breakpoint.
    Kprobe(&'static str),
    /// Return of a kernel function, by breakpoint.
    Kretprobe(&'static str),
    /// A tracepoint whose arguments BTF describes.
    Tracepoint(&'static str),
}

impl Hook {
    /// The kernel function or tracepoint.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Fentry(name)
            | Self::Fexit(name)
            | Self::Kprobe(name)
            | Self::Kretprobe(name)
            | Self::Tracepoint(name) => name,
        }
    }

    /// The column of the table that it belongs to.
    pub const fn twin(self) -> Twin {
        match self {
            Self::Fentry(_) | Self::Fexit(_) => Twin::Fentry,
            Self::Kprobe(_) | Self::Kretprobe(_) => Twin::Kprobe,
            Self::Tracepoint(_) => Twin::Tracepoint,
        }
    }

    /// What the section of its programs starts with.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Fentry(_) => "fentry",
            Self::Fexit(_) => "fexit",
            Self::Kprobe(_) => "kprobe",
            Self::Kretprobe(_) => "kretprobe",
            Self::Tracepoint(_) => "tp_btf",
        }
    }
}
