//! The closed list of endings, and what each means.
//!
//! One row a value: docs, dashboards, `explain` and metrics are made from this table. What takes
//! more than a line stands in `explain/`, one constant a row.

macro_rules! endings {
    ($($variant:ident = $label:literal, $group:ident,
        $meaning:literal,
        cause: $cause:literal,
        look: $look:literal;)+) => {
        /// How one end of a connection ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Ending { $(#[doc = $meaning] $variant,)+ }

        impl Ending {
            /// Every ending, in the order of the table.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The word for it in metrics, JSON and text.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// What happened, in one line.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// The likely cause, in one line.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)+ }
            }

            /// What to look at next, in one line.
            pub const fn look_next(self) -> &'static str {
                match self { $(Self::$variant => $look,)+ }
            }

            /// The family that it belongs to.
            pub const fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group,)+ }
            }

            /// The ending with this label.
            pub fn from_label(label: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|ending| ending.label() == label)
            }
        }
    };
}

/// A family of endings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Both ends exchanged a FIN.
    Orderly,
    /// This host sent a RST.
    ResetSent,
    /// The peer sent a RST.
    ResetReceived,
    /// The kernel stopped waiting for the peer.
    GaveUp,
    /// Anything else.
    Other,
}

impl Group {
    /// Every group, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Orderly,
        Self::ResetSent,
        Self::ResetReceived,
        Self::GaveUp,
        Self::Other,
    ];

    /// The word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Orderly => "orderly",
            Self::ResetSent => "reset_sent",
            Self::ResetReceived => "reset_received",
            Self::GaveUp => "gave_up",
            Self::Other => "other",
        }
    }
}

endings! {
    ActiveClose = "active_close", Orderly,
        "This end sent its FIN first, and both FINs were exchanged.",
        cause: "The application here closed or shut down first.",
        look: "TIME_WAIT stays on this end for 60 s; check that this is the side that should close.";
    PassiveClose = "passive_close", Orderly,
        "The peer sent its FIN first, and both FINs were exchanged.",
        cause: "The application at the other end closed or shut down first.",
        look: "The time in CLOSE_WAIT is how long the application here took to close.";
    SimultaneousClose = "simultaneous_close", Orderly,
        "Each end sent its FIN before it received the other's.",
        cause: "Both applications closed within one round trip.",
        look: "Harmless; if frequent, decide which side closes first.";
    ResetUnreadData = "reset_unread_data", ResetSent,
        "This end closed with received data unread, and the kernel reset the connection.",
        cause: "The application closed without reading everything that the peer had sent.",
        look: "The unread bytes, and whether the application drains the socket before close.";
    ResetLingerZero = "reset_linger_zero", ResetSent,
        "This end closed with SO_LINGER on and 0, and the kernel reset the connection.",
        cause: "The application asked for an abortive close, often to avoid TIME_WAIT.",
        look: "Who sets SO_LINGER to {1, 0}, and the unsent and unacked bytes.";
    ResetDataAfterClose = "reset_data_after_close", ResetSent,
        "This end had closed, the peer sent more data, and a RST answered it.",
        cause: "The application here closed while the peer still had something to say.",
        look: "Which side should close first; shut down sending, then read until the peer's FIN.";
    ResetListenerClosed = "reset_listener_closed", ResetSent,
        "A listener closed while this connection waited in its accept queue.",
        cause: "A server stopped or restarted without accepting what was queued.",
        look: "Socket handover at restart, and how long the accept queue is.";
    ResetDisconnect = "reset_disconnect", ResetSent,
        "The application dissolved the connection with connect(AF_UNSPEC).",
        cause: "The application reuses its socket for another peer.",
        look: "Whether it meant to close.";
    ResetLinger2 = "reset_linger2", ResetSent,
        "This end closed with TCP_LINGER2 negative: no FIN_WAIT2, but a RST.",
        cause: "The application set TCP_LINGER2 below 0.",
        look: "Whether the peer has all of its data; who sets TCP_LINGER2.";
    ResetOutOfMemory = "reset_out_of_memory", ResetSent,
        "The kernel reset a closed connection for want of TCP memory or of room for orphans.",
        cause: "Too many orphans (tcp_max_orphans) or too little memory (tcp_mem).",
        look: "TCPAbortOnMemory, /proc/net/sockstat, and who leaves so many orphans.";
    ResetDestroyed = "reset_destroyed", ResetSent,
        "An administrator destroyed the connection.",
        cause: "`ss -K`, a SOCK_DESTROY client or a BPF program killed it.",
        look: "The process named as closer: it is the administrator, not the owner.";
    ResetOther = "reset_other", ResetSent,
        "This host reset the connection for another reason.",
        cause: "Multipath TCP, or a path of the kernel that has no ending of its own.",
        look: "The kernel's reset reason and the timeline.";
    ConnectRefused = "connect_refused", ResetReceived,
        "A RST answered the SYN.",
        cause: "Nobody listens on that port, or a firewall rejects it with a RST.",
        look: "Whether the server runs, and its address and port.";
    PeerReset = "peer_reset", ResetReceived,
        "The peer reset an established connection.",
        cause: "The application at the other end aborted, crashed or closed with unread data.",
        look: "The same connection at the other end; a middlebox that forgot it also sends RST.";
    PeerResetAfterFin = "peer_reset_after_fin", ResetReceived,
        "The peer had sent its FIN, and then reset the connection before this end closed.",
        cause: "This end sent data to a peer that had closed.",
        look: "The time in CLOSE_WAIT, and what was sent in it.";
    PeerResetWhileClosing = "peer_reset_while_closing", ResetReceived,
        "This end had sent its FIN, and then the peer reset the connection.",
        cause: "The peer closed with unread data, or aborted instead of closing.",
        look: "The unacked bytes: the peer may not have read the last of them.";
    TimeoutConnect = "timeout_connect", GaveUp,
        "The SYN was never answered.",
        cause: "A firewall drops it, the host is down, or its listen queue overflows.",
        look: "The route and the firewalls to the peer; tcp_syn_retries.";
    TimeoutRetransmit = "timeout_retransmit", GaveUp,
        "Data was never acknowledged, however often it was sent again.",
        cause: "The peer or the path to it went away.",
        look: "The unacked bytes, the path, and tcp_retries2.";
    TimeoutUser = "timeout_user", GaveUp,
        "Data was not acknowledged within TCP_USER_TIMEOUT.",
        cause: "The peer or the path to it went away; the application bounds the wait.",
        look: "The unacked bytes, and the application's TCP_USER_TIMEOUT.";
    TimeoutKeepalive = "timeout_keepalive", GaveUp,
        "Keepalive probes were never answered.",
        cause: "The peer, or a middlebox's memory of the connection, went away while it was idle.",
        look: "Idle limits of load balancers and NAT against the keepalive time.";
    TimeoutZeroWindow = "timeout_zero_window", GaveUp,
        "The peer's window stayed shut until the kernel gave up.",
        cause: "The application at the other end stopped reading.",
        look: "The peer's receive queue, and the unsent bytes.";
    TimeoutOrphan = "timeout_orphan", GaveUp,
        "This end had closed, and its FIN or last data was never acknowledged.",
        cause: "The peer or the path to it went away at the end.",
        look: "The unsent and unacked bytes; tcp_orphan_retries.";
    TimeoutFinWait2 = "timeout_fin_wait2", GaveUp,
        "This end had closed, the peer acknowledged it and never sent its own FIN.",
        cause: "The application at the other end does not close.",
        look: "CLOSE_WAIT at the peer; tcp_fin_timeout.";
    Unreachable = "unreachable", GaveUp,
        "An ICMP error ended the connection before it was established.",
        cause: "A router or the host itself says that there is no way, or a firewall rejects.",
        look: "The error number, the route, and the firewalls.";
    ConnectFailed = "connect_failed", Other,
        "The kernel could not start the connect: no SYN left.",
        cause: "No free local port, or no memory.",
        look: "ip_local_port_range against connections to that peer and their TIME_WAITs.";
    NeverEstablished = "never_established", Other,
        "This end gave up a connect before it was answered.",
        cause: "The application's own connect timeout, or it was killed.",
        look: "Who closed and after how long.";
    DroppedSilently = "dropped_silently", Other,
        "The connection ended with neither a FIN handshake nor a RST.",
        cause: "TCP_REPAIR, the end of a network namespace, or an abort with nothing left to reset.",
        look: "The peer does not know: it may hold its end for long.";
    Unknown = "unknown", Other,
        "Not enough was seen to say how it ended.",
        cause: "The connection is older than the agent, or events were lost.",
        look: "Lost events in the agent's metrics.";
}

#[cfg(test)]
mod tests {
    use super::{Ending, Group};

    #[test]
    fn every_label_leads_back_to_its_ending() {
        for ending in Ending::ALL {
            assert_eq!(Ending::from_label(ending.label()), Some(ending));
        }
        assert_eq!(Ending::from_label("peer_vanished"), None);
    }

    #[test]
    fn labels_are_snake_case_and_rows_are_sentences() {
        for ending in Ending::ALL {
            let label = ending.label();
            assert!(
                label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
            );
            for line in [ending.meaning(), ending.cause(), ending.look_next()] {
                assert!(
                    line.ends_with('.') && !line.contains('\n'),
                    "{label}: {line}"
                );
            }
        }
    }

    #[test]
    fn every_group_has_an_ending() {
        for group in Group::ALL {
            assert!(
                Ending::ALL
                    .into_iter()
                    .any(|ending| ending.group() == group),
                "{group:?}"
            );
        }
    }
}
