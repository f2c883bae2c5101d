//! The one table of probes whose loss changes no verdict.
//!
//! A row requires that nothing changes, so a case that does makes it stale and fails.

use std::collections::BTreeSet;

/// One exception.
struct Row {
    kind: &'static str,
    backends: &'static [&'static str],
    /// It holds only where this case does not end so.
    unless: Option<(&'static str, &'static str)>,
    reason: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        kind: "destroyed",
        backends: &["fentry", "kprobe", "tracepoint"],
        unless: None,
        reason: "it makes a verdict final sooner and frees memory sooner; without it both wait \
                 for a delay",
    },
    Row {
        kind: "forgotten",
        backends: &["fentry", "kprobe"],
        unless: None,
        reason: "the change of state shows that no file ever held the socket; the call tells it \
                 for a subflow of Multipath TCP, which never has a file of its own",
    },
    Row {
        kind: "aborted",
        backends: &["fentry", "kprobe"],
        unless: Some(("destroyed_minisock", "reset_destroyed")),
        reason: "this kernel destroys no minisock, and a full socket tells it by its error",
    },
];

/// Cases with the endings that really happened in them.
pub(crate) type Happened = BTreeSet<(&'static str, &'static str)>;

/// Why nothing changes without the probes of this kind, if that is so.
pub(crate) fn explained(kind: &str, backend: &str, happened: &Happened) -> Option<&'static str> {
    let row = TABLE.iter().find(|row| {
        row.kind == kind
            && row.backends.contains(&backend)
            && row.unless.is_none_or(|end| !happened.contains(&end))
    });
    row.map(|row| row.reason)
}
