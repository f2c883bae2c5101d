//! The one table of verdicts that are right and not exact, by cause.
//!
//! A row requires the inferred verdict, so an exact one makes it stale and fails; only what
//! chance explains may be either, and of few ends.

use std::sync::LazyLock;

use xtask::judge::Coarser;

use crate::btf::parameters;

/// One cause.
struct Row {
    backends: &'static [&'static str],
    kernel: fn() -> bool,
    of: Of,
    reason: &'static str,
}

/// Where a cause makes verdicts uncertain.
enum Of {
    /// In every end that really ended so, but for some cases.
    Endings(&'static [&'static str], &'static [&'static str]),
    /// In these ends: case and role.
    Ends(&'static [(&'static str, &'static str)]),
    /// By chance, in few ends of these cases: so many of them at most, which is 1 in 100.
    Few(&'static [(&'static str, usize)]),
}

const ALL: &[&str] = &["fentry", "kprobe", "tracepoint"];
const FUNCTIONS: &[&str] = &["fentry", "kprobe"];
const TRACEPOINT: &[&str] = &["tracepoint"];

const TABLE: &[Row] = &[
    Row {
        backends: TRACEPOINT,
        kernel: any,
        of: Of::Endings(&["active_close", "simultaneous_close"], &[]),
        reason: "no tracepoint shows whether there was room for TIME_WAIT",
    },
    Row {
        backends: TRACEPOINT,
        kernel: any,
        of: Of::Endings(&["peer_reset_while_closing"], &[]),
        reason: "no tracepoint tells a RST from data after close",
    },
    Row {
        backends: FUNCTIONS,
        kernel: segment_of_a_reset_unseen,
        // The minisock's own function takes the segment.
        of: Of::Endings(
            &["peer_reset_while_closing"],
            &["reset_in_fin_wait2_minisock"],
        ),
        reason: "this kernel's tcp_reset does not take the segment, which tells a RST from data \
                 after close",
    },
    Row {
        backends: TRACEPOINT,
        kernel: any,
        of: Of::Ends(&[
            ("connect_shut_down", "client"),
            ("disconnected_syn_sent", "client"),
        ]),
        reason: "no tracepoint shows tcp_disconnect",
    },
    Row {
        backends: ALL,
        kernel: any,
        of: Of::Ends(&[("port_unreachable", "client")]),
        reason: "ICMP port unreachable is told by the lack of a RST",
    },
    Row {
        backends: ALL,
        kernel: any,
        of: Of::Ends(&[("cut_before_data", "client")]),
        reason: "what cannot leave the host is not in flight, so the queues do not tell the timer",
    },
    Row {
        backends: FUNCTIONS,
        kernel: any,
        of: Of::Ends(&[
            ("overflow_fin_wait2", "client"),
            ("overflow_fin_wait2_data", "client"),
        ]),
        reason: "without room for a minisock nobody waits for the peer's FIN",
    },
    Row {
        backends: FUNCTIONS,
        kernel: any,
        of: Of::Ends(&[("namespace_exits", "server")]),
        reason: "nothing says why a minisock is gone before its time",
    },
    Row {
        backends: &["kprobe"],
        kernel: any,
        of: Of::Few(&[
            ("many_endings_one_cpu", 20),
            ("one_port_many_connections", 4),
        ]),
        reason: "the kernel skips a kprobe that an interrupt finds running on the same CPU",
    },
];

/// The exceptions for one case on this kernel.
pub(crate) fn inferred(case: &str, backend: &str) -> Vec<Coarser> {
    let here = |row: &&Row| row.backends.contains(&backend) && (row.kernel)();
    let rows = TABLE.iter().filter(here);
    rows.flat_map(|row| row.verdicts(case)).collect()
}

impl Row {
    fn verdicts(&self, case: &str) -> Vec<Coarser> {
        let inferred = Coarser::new("confidence", Some("inferred"), self.reason);
        match self.of {
            Of::Endings(_, but) if but.contains(&case) => Vec::new(),
            Of::Endings(endings, _) => endings
                .iter()
                .map(|ending| Coarser {
                    ending: Some(ending),
                    ..inferred
                })
                .collect(),
            Of::Ends(ends) => ends
                .iter()
                .filter(|(name, _)| *name == case)
                .map(|(_, role)| Coarser {
                    role: Some(role),
                    ..inferred
                })
                .collect(),
            Of::Few(cases) => cases
                .iter()
                .filter(|(name, _)| *name == case)
                .map(|(_, most)| Coarser {
                    most: Some(*most),
                    ..inferred
                })
                .collect(),
        }
    }
}

fn any() -> bool {
    true
}

/// `tcp_reset` got the segment as a second parameter when Multipath TCP wanted its options.
fn segment_of_a_reset_unseen() -> bool {
    static UNSEEN: LazyLock<bool> = LazyLock::new(|| parameters("tcp_reset") == Some(1));
    *UNSEEN
}
