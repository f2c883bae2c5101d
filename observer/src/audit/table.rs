//! The counters that are audited: what each equals, and where it may differ and why.
//!
//! Takes nothing; gives [`Counter`] and its [`Row`]. The one place for this knowledge: the
//! judgement, `/status` and the metrics are made from it.

use super::need::Need;

/// A counter of `/proc/net/snmp` (`Tcp`) or `/proc/net/netstat` (`TcpExt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the names are the kernel's; the rows say what they are"
)]
pub enum Counter {
    EstabResets,
    OutRsts,
    AttemptFails,
    AbortOnData,
    AbortOnClose,
    AbortOnMemory,
    AbortOnTimeout,
    AbortOnLinger,
    AbortFailed,
    TimeWaits,
    TimeWaitsKilled,
    TimeWaitsRecycled,
    TimeWaitOverflow,
    EmbryonicRsts,
}

/// What is known of one counter.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kernel's name.
    pub name: &'static str,
    /// What of the agent's view it equals; `None`: nothing, it is shown for what it explains.
    pub equals: Option<&'static str>,
    /// Where it may differ, and why.
    pub may_differ: &'static str,
    /// What explains that the kernel counted more than was observed.
    pub(super) more: &'static [Allowance],
    /// What explains that the kernel counted less.
    pub(super) less: &'static [Allowance],
    /// What the probes in force must see for it to be judged.
    pub(super) needs: &'static [Need],
}

/// How much of a difference is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// As much as the kernel counted there.
    Kernel(Counter),
    /// As many resets as were seen that name no namespace.
    ResetsOfNowhere,
}

impl Counter {
    /// Every counter, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::EstabResets,
        Self::OutRsts,
        Self::AttemptFails,
        Self::AbortOnData,
        Self::AbortOnClose,
        Self::AbortOnMemory,
        Self::AbortOnTimeout,
        Self::AbortOnLinger,
        Self::AbortFailed,
        Self::TimeWaits,
        Self::TimeWaitsKilled,
        Self::TimeWaitsRecycled,
        Self::TimeWaitOverflow,
        Self::EmbryonicRsts,
    ];

    /// The kernel's name of it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What is known of it. Where the kernel counts: `net/ipv4/`, 5.10 to 7.2.
    #[expect(clippy::too_many_lines, reason = "a table of data")]
    pub const fn row(self) -> Row {
        match self {
            Self::EstabResets => Row {
                name: "EstabResets",
                equals: Some(
                    "connection ends that left ESTABLISHED or CLOSE_WAIT for CLOSE: resets sent or received there, timeouts, silent drops",
                ),
                may_differ: "only by events that the agent did not see",
                ..PLAIN
            },
            Self::OutRsts => Row {
                name: "OutRsts",
                equals: Some(
                    "resets sent, of this host's own accord or in reply, for connections, minisocks, requests and listeners",
                ),
                may_differ: "more by resets for a closed port or an unknown connection, whose namespace is not told (at most as many as were seen on the host), and by resets that could not be sent (TCPAbortFailed); not judged where replies for minisocks are not seen (tracepoints before 6.12)",
                more: &[
                    Allowance::ResetsOfNowhere,
                    Allowance::Kernel(Self::AbortFailed),
                ],
                less: &[],
                needs: &[Need::ResetsSent, Need::Replies, Need::RepliesBeyondSockets],
            },
            Self::AttemptFails => Row {
                name: "AttemptFails",
                equals: Some(
                    "connection ends that an error took from SYN_SENT or SYN_RECV (connect_refused, timeout_connect, unreachable, ...), and children of a listener that died at birth",
                ),
                may_differ: "more by requests that a RST or SYN dropped before they were connections (at most EmbryonicRsts)",
                more: &[Allowance::Kernel(Self::EmbryonicRsts)],
                // Among others, a listener that closes and one that gives a child up differ by it.
                needs: &[Need::ResetsSent],
                ..PLAIN
            },
            Self::AbortOnData => Row {
                name: "TCPAbortOnData",
                equals: Some(
                    "close() with SO_LINGER on and 0 (reset_linger_zero), and data after close for a full socket (reset_data_after_close without the attribute minisock)",
                ),
                may_differ: "only by events that the agent did not see",
                needs: &[Need::Replies],
                ..PLAIN
            },
            Self::AbortOnClose => Row {
                name: "TCPAbortOnClose",
                equals: Some("reset_unread_data"),
                may_differ: "only by events that the agent did not see",
                ..PLAIN
            },
            Self::AbortOnMemory => Row {
                name: "TCPAbortOnMemory",
                equals: Some("reset_out_of_memory"),
                may_differ: "more by orphans that a timer took away without a reset, after a minute in which no data was sent: they look like the end of their namespace (dropped_silently); else only by events that the agent did not see",
                needs: &[Need::ResetsSent],
                ..PLAIN
            },
            Self::AbortOnTimeout => Row {
                name: "TCPAbortOnTimeout",
                equals: Some(
                    "timeout_connect, timeout_retransmit, timeout_user, timeout_keepalive, timeout_zero_window, timeout_orphan",
                ),
                may_differ: "only by events that the agent did not see",
                ..PLAIN
            },
            Self::AbortOnLinger => Row {
                name: "TCPAbortOnLinger",
                equals: Some("reset_linger2, where close() found the socket in FIN_WAIT2"),
                may_differ: "only by events that the agent did not see",
                needs: &[Need::ResetsSent],
                ..PLAIN
            },
            Self::AbortFailed => Row {
                name: "TCPAbortFailed",
                equals: None,
                may_differ: "no probe sees that a reset could not be sent; explains OutRsts",
                ..PLAIN
            },
            Self::TimeWaits => Row {
                name: "TW",
                equals: Some(
                    "minisocks, in FIN_WAIT2 or TIME_WAIT: those that started; on older kernels (5.10) those whose time ran out, whether or not the agent saw them start",
                ),
                may_differ: "less by minisocks whose time is at most 4 s (TWKilled); with tracepoints, which do not show minisocks, also less by TCPTimeWaitOverflow, and not judged where the kernel counts at the end",
                less: &[
                    Allowance::Kernel(Self::TimeWaitsKilled),
                    Allowance::Kernel(Self::TimeWaitOverflow),
                ],
                more: &[],
                needs: &[Need::MinisocksWhereCountedAtEnd],
            },
            Self::TimeWaitsKilled => Row {
                name: "TWKilled",
                equals: None,
                may_differ: "no probe sees how much time a minisock has; explains TW",
                ..PLAIN
            },
            Self::TimeWaitsRecycled => Row {
                name: "TWRecycled",
                equals: Some("TIME_WAITs that a connect took over (tcp_tw_reuse)"),
                may_differ: "not judged with tracepoints, which do not show minisocks",
                needs: &[Need::Minisocks],
                ..PLAIN
            },
            Self::TimeWaitOverflow => Row {
                name: "TCPTimeWaitOverflow",
                equals: Some("connection ends with the attribute time_wait_overflow"),
                may_differ: "not judged with tracepoints, which do not show minisocks",
                needs: &[Need::Minisocks],
                ..PLAIN
            },
            Self::EmbryonicRsts => Row {
                name: "EmbryonicRsts",
                equals: None,
                may_differ: "requests are no connections, so no probe watches them; explains AttemptFails",
                ..PLAIN
            },
        }
    }
}

/// A counter without any allowance.
const PLAIN: Row = Row {
    name: "",
    equals: None,
    may_differ: "",
    more: &[],
    less: &[],
    needs: &[],
};
