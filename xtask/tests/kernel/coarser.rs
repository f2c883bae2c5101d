//! The one table of verdicts that a backend cannot make as fine as the truth.
//!
//! A row requires the coarser verdict, so a finer one makes it stale and fails.

use std::fs;
use std::sync::LazyLock;

use xtask::judge::Coarser;

/// One exception.
struct Row {
    backend: &'static str,
    kernel: fn() -> bool,
    case: &'static str,
    role: &'static str,
    /// JSON keys and what they must say.
    says: &'static [(&'static str, Option<&'static str>)],
    reason: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        backend: "tracepoint",
        kernel: replies_for_minisocks_unseen,
        case: "data_after_close_minisock",
        role: "client",
        says: AN_ORDERLY_CLOSE,
        reason: "before 6.12 the tracepoint is silent about resets for minisocks",
    },
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "fin_wait2_expires",
        role: "client",
        says: AN_ORDERLY_CLOSE,
        reason: "no tracepoint shows how a FIN_WAIT2 minisock ends",
    },
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "reset_in_fin_wait2_minisock",
        role: "client",
        says: AN_ORDERLY_CLOSE,
        reason: "no tracepoint shows how a FIN_WAIT2 minisock ends",
    },
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "connect_shut_down",
        role: "client",
        says: &[("confidence", Some("inferred"))],
        reason: "no tracepoint shows tcp_disconnect",
    },
];

const AN_ORDERLY_CLOSE: &[(&str, Option<&str>)] = &[
    ("ending", Some("active_close")),
    ("initiator", Some("local")),
    ("time_wait", Some("local")),
    ("confidence", Some("inferred")),
];

/// The exceptions for one case on this kernel.
pub(crate) fn coarser(case: &str, backend: &str) -> Vec<Coarser> {
    let here = |row: &&Row| (row.case, row.backend) == (case, backend) && (row.kernel)();
    let mut verdicts = Vec::new();
    for row in TABLE.iter().filter(here) {
        verdicts.extend(row.says.iter().map(|(key, says)| Coarser {
            role: Some(row.role),
            key,
            says: *says,
            reason: row.reason,
        }));
    }
    verdicts
}

fn any() -> bool {
    true
}

/// The reset reasons came with the change that made the tracepoint speak of minisocks.
fn replies_for_minisocks_unseen() -> bool {
    static UNSEEN: LazyLock<bool> = LazyLock::new(|| {
        // Without BTF no agent starts, and every case fails for that.
        let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
        let name = b"sk_rst_reason";
        !btf.windows(name.len()).any(|window| window == name)
    });
    *UNSEEN
}
