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
    verdict: Coarser,
}

const REPLY_UNSEEN: &str = "before 6.12 the tracepoint is silent about resets for minisocks";
const EXPIRY_UNSEEN: &str = "no tracepoint shows how a FIN_WAIT2 minisock ends";

const TABLE: &[Row] = &[
    Row {
        backend: "tracepoint",
        kernel: replies_for_minisocks_unseen,
        case: "data_after_close_minisock",
        verdict: row("client", "ending", Some("active_close"), REPLY_UNSEEN),
    },
    Row {
        backend: "tracepoint",
        kernel: replies_for_minisocks_unseen,
        case: "data_after_close_minisock",
        verdict: row("client", "time_wait", Some("local"), REPLY_UNSEEN),
    },
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "fin_wait2_expires",
        verdict: row("client", "ending", Some("active_close"), EXPIRY_UNSEEN),
    },
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "fin_wait2_expires",
        verdict: row("client", "initiator", Some("local"), EXPIRY_UNSEEN),
    },
];

/// The exceptions for one case on this kernel.
pub(crate) fn coarser(case: &str, backend: &str) -> Vec<Coarser> {
    TABLE
        .iter()
        .filter(|row| (row.case, row.backend) == (case, backend) && (row.kernel)())
        .map(|row| row.verdict)
        .collect()
}

const fn row(
    role: &'static str,
    key: &'static str,
    says: Option<&'static str>,
    reason: &'static str,
) -> Coarser {
    Coarser {
        role: Some(role),
        key,
        says,
        reason,
    }
}

fn any() -> bool {
    true
}

/// The reset reasons came with the change that made the tracepoint speak of minisocks.
fn replies_for_minisocks_unseen() -> bool {
    static UNSEEN: LazyLock<bool> = LazyLock::new(|| {
        let btf = fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has no BTF");
        let name = b"sk_rst_reason";
        !btf.windows(name.len()).any(|window| window == name)
    });
    *UNSEEN
}
