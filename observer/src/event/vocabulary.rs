//! The running kernel's names for its own numbers.

use std::sync::Arc;

/// Numbers that the kernel may renumber, read from its BTF when the agent starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// Bit number of `SOCK_DEAD` in `sk_flags` (`enum sock_flags`).
    pub sock_dead: u8,
    /// Bit number of `SOCK_DONE`.
    pub sock_done: u8,
    /// Bit number of `SOCK_KEEPOPEN`.
    pub sock_keepopen: u8,
    /// Bit number of `SOCK_LINGER`.
    pub sock_linger: u8,
    /// Names of `enum sk_rst_reason` by number, without the `SK_RST_REASON_` prefix, in lower
    /// case; empty on kernels without it.
    pub reset_reasons: Vec<(u32, Box<str>)>,
    /// Number of `TCP_TW_SUCCESS`.
    pub tw_success: u32,
    /// Number of `TCP_TW_RST`.
    pub tw_rst: u32,
    /// Number of `TCP_TW_ACK`.
    pub tw_ack: u32,
    /// Number of `TCP_TW_SYN`.
    pub tw_syn: u32,
    /// Minisocks have `tw_kill`: then the kernel counts one (`TW`, `TWKilled`) when its time
    /// has run out, else when it starts.
    pub tw_kill: bool,
}

/// What `tcp_timewait_state_process` decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TwStatus {
    /// The segment was dropped, or a RST took the minisock away.
    Success,
    /// Answer with a reset: data for a connection that nobody holds.
    Reset,
    /// Answer with an ACK.
    Ack,
    /// A new connection reuses the ends.
    Syn,
}

/// The kernel's reason for a reset (`enum sk_rst_reason`, since about 6.10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResetReason {
    /// Its number in the running kernel.
    pub number: u32,
    /// Its name in lower case without the prefix, such as `tcp_abort_on_close`;
    /// `unnamed` if BTF has no name for the number.
    pub name: Arc<str>,
}

impl Vocabulary {
    /// Numbers of the mainline kernels 5.10 to 7.2, for tests and recorded events.
    pub fn mainline() -> Self {
        let reasons = [
            "not_specified",
            "no_socket",
            "tcp_invalid_ack_sequence",
            "tcp_rfc7323_paws",
            "tcp_too_old_ack",
            "tcp_ack_unsent_data",
            "tcp_flags",
            "tcp_old_ack",
            "tcp_abort_on_data",
            "tcp_timewait_socket",
            "invalid_syn",
            "tcp_abort_on_close",
            "tcp_abort_on_linger",
            "tcp_abort_on_memory",
            "tcp_state",
            "tcp_keepalive_timeout",
            "tcp_disconnect_with_data",
        ];
        Self {
            sock_dead: 0,
            sock_done: 1,
            sock_keepopen: 3,
            sock_linger: 4,
            reset_reasons: (0u32..).zip(reasons.map(Box::from)).collect(),
            tw_success: 0,
            tw_rst: 1,
            tw_ack: 2,
            tw_syn: 3,
            tw_kill: false,
        }
    }

    /// The name of a reset reason's number; `unnamed` if BTF has none for it.
    pub fn reset_reason(&self, number: u32) -> &str {
        let mut reasons = self.reset_reasons.iter();
        reasons
            .find(|(known, _)| *known == number)
            .map_or("unnamed", |(_, name)| name)
    }

    /// What `tcp_timewait_state_process` decided, by its number.
    pub fn tw_status(&self, number: u32) -> Option<TwStatus> {
        [
            (self.tw_success, TwStatus::Success),
            (self.tw_rst, TwStatus::Reset),
            (self.tw_ack, TwStatus::Ack),
            (self.tw_syn, TwStatus::Syn),
        ]
        .into_iter()
        .find_map(|(known, status)| (known == number).then_some(status))
    }
}
