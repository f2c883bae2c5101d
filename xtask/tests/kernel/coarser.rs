//! The one table of verdicts that a backend cannot make as fine as the truth.
//!
//! A row requires the coarser verdict, so a finer one makes it stale and fails. What is only
//! less sure than exact stands in the table of [`inferred`] verdicts.

use std::fs;
use std::sync::LazyLock;

use xtask::judge::Coarser;

use crate::inferred::inferred;

/// One exception.
struct Row {
    backend: &'static str,
    kernel: fn() -> bool,
    case: &'static str,
    role: &'static str,
    /// JSON keys and what they must say.
    says: Says,
    reason: &'static str,
}

type Says = &'static [(&'static str, Option<&'static str>)];

const TABLE: &[Row] = &[
    unseen_reply("data_after_close_minisock", "client"),
    unseen_reply("fin_with_data_for_minisock", "client"),
    unseen_reply("syn_for_minisock", "client"),
    unseen_end("fin_wait2_expires", "client"),
    unseen_end("full_fin_wait2_late_expiry", "client"),
    unseen_end("reset_in_fin_wait2_minisock", "client"),
    unseen_end("orphan_fin_wait2", "client"),
    unseen_end("fin_wait2_timer_hands_over", "client"),
    unseen_end("namespace_exits", "server"),
    unseen_end("destroyed_minisock", "client"),
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "linger_runs_out_after_shutdown",
        role: "client",
        says: &[("attributes", Some(""))],
        reason: "no tracepoint shows close()",
    },
    unseen_reply("late_data_ipv6", "client"),
    unseen_reply("late_data_mapped", "client"),
    unseen_reply("reset_in_backlog", "server"),
    no_room("overflow_three_segments", "client", TIME_WAIT_HERE),
    no_room("overflow_full_fin_wait2", "client", TIME_WAIT_HERE),
    no_room("overflow_after_one", "server", TIME_WAIT_HERE),
    no_room("overflow_simultaneous", "client", TIME_WAIT_BOTH),
    no_room("overflow_fin_wait2", "client", AN_ORDERLY_CLOSE),
    no_room("overflow_fin_wait2_data", "client", AN_ORDERLY_CLOSE),
    Row {
        backend: "tracepoint",
        kernel: any,
        case: "data_then_close",
        role: "server",
        says: &[("opened_by", None)],
        reason: "no tracepoint shows who accepts",
    },
];

const fn unseen_end(case: &'static str, role: &'static str) -> Row {
    Row {
        backend: "tracepoint",
        kernel: any,
        case,
        role,
        says: AN_ORDERLY_CLOSE,
        reason: "no tracepoint shows how a FIN_WAIT2 minisock ends",
    }
}

const fn unseen_reply(case: &'static str, role: &'static str) -> Row {
    Row {
        backend: "tracepoint",
        kernel: replies_for_minisocks_unseen,
        case,
        role,
        says: AN_ORDERLY_CLOSE,
        reason: "before 6.12 the tracepoint is silent about resets for minisocks",
    }
}

const fn no_room(case: &'static str, role: &'static str, says: Says) -> Row {
    Row {
        backend: "tracepoint",
        kernel: any,
        case,
        role,
        says,
        reason: "no tracepoint shows whether there was room for TIME_WAIT",
    }
}

const TIME_WAIT_HERE: Says = &[("time_wait", Some("local")), ("attributes", Some(""))];

const TIME_WAIT_BOTH: Says = &[("time_wait", Some("both")), ("attributes", Some(""))];

const AN_ORDERLY_CLOSE: Says = &[
    ("ending", Some("active_close")),
    ("initiator", Some("local")),
    ("time_wait", Some("local")),
    ("confidence", Some("inferred")),
    ("attributes", Some("")),
];

/// The exceptions for one case on this kernel, those of its confidence among them.
pub(crate) fn coarser(case: &str, backend: &str) -> Vec<Coarser> {
    let here = |row: &&Row| (row.case, row.backend) == (case, backend) && (row.kernel)();
    let mut verdicts = Vec::new();
    for row in TABLE.iter().filter(here) {
        verdicts.extend(row.says.iter().map(|(key, says)| Coarser {
            role: Some(row.role),
            ..Coarser::new(key, *says, row.reason)
        }));
    }
    verdicts.extend(inferred(case, backend));
    verdicts
}

/// The kernel's counters that a backend cannot account for on this kernel.
pub(crate) fn unaccounted(backend: &str) -> &'static [&'static str] {
    match backend {
        "tracepoint" if replies_for_minisocks_unseen() => &["OutRsts", "TCPTimeWaitOverflow"],
        "tracepoint" => &["TCPTimeWaitOverflow"],
        _ => &[],
    }
}

fn any() -> bool {
    true
}

/// The reset reasons came with the change that made the tracepoint speak of minisocks.
pub(crate) fn replies_for_minisocks_unseen() -> bool {
    static UNSEEN: LazyLock<bool> = LazyLock::new(|| {
        // Without BTF no agent starts, and every case fails for that.
        let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
        let name = b"sk_rst_reason";
        !btf.windows(name.len()).any(|window| window == name)
    });
    *UNSEEN
}
