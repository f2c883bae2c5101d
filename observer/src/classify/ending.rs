//! The closed list of endings, and what each means.

/// How one end of a connection ended. One row a value in [`Ending::meaning`]; docs,
/// dashboards and `--help` are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// See [`Ending::meaning`].
    ActiveClose,
    /// See [`Ending::meaning`].
    PassiveClose,
    /// See [`Ending::meaning`].
    SimultaneousClose,
    /// See [`Ending::meaning`].
    ResetUnreadData,
    /// See [`Ending::meaning`].
    ResetLingerZero,
    /// See [`Ending::meaning`].
    ResetDataAfterClose,
    /// See [`Ending::meaning`].
    ResetListenerClosed,
    /// See [`Ending::meaning`].
    ResetDisconnect,
    /// See [`Ending::meaning`].
    ResetLinger2,
    /// See [`Ending::meaning`].
    ResetOutOfMemory,
    /// See [`Ending::meaning`].
    ResetDestroyed,
    /// See [`Ending::meaning`].
    ResetOther,
    /// See [`Ending::meaning`].
    ConnectRefused,
    /// See [`Ending::meaning`].
    PeerReset,
    /// See [`Ending::meaning`].
    PeerResetAfterFin,
    /// See [`Ending::meaning`].
    PeerResetWhileClosing,
    /// See [`Ending::meaning`].
    TimeoutConnect,
    /// See [`Ending::meaning`].
    TimeoutRetransmit,
    /// See [`Ending::meaning`].
    TimeoutUser,
    /// See [`Ending::meaning`].
    TimeoutKeepalive,
    /// See [`Ending::meaning`].
    TimeoutZeroWindow,
    /// See [`Ending::meaning`].
    TimeoutOrphan,
    /// See [`Ending::meaning`].
    TimeoutFinWait2,
    /// See [`Ending::meaning`].
    Unreachable,
    /// See [`Ending::meaning`].
    ConnectFailed,
    /// See [`Ending::meaning`].
    NeverEstablished,
    /// See [`Ending::meaning`].
    DroppedSilently,
    /// See [`Ending::meaning`].
    Unknown,
}

impl Ending {
    /// Every value, in order.
    pub const ALL: [Self; 28] = [
        Self::ActiveClose,
        Self::PassiveClose,
        Self::SimultaneousClose,
        Self::ResetUnreadData,
        Self::ResetLingerZero,
        Self::ResetDataAfterClose,
        Self::ResetListenerClosed,
        Self::ResetDisconnect,
        Self::ResetLinger2,
        Self::ResetOutOfMemory,
        Self::ResetDestroyed,
        Self::ResetOther,
        Self::ConnectRefused,
        Self::PeerReset,
        Self::PeerResetAfterFin,
        Self::PeerResetWhileClosing,
        Self::TimeoutConnect,
        Self::TimeoutRetransmit,
        Self::TimeoutUser,
        Self::TimeoutKeepalive,
        Self::TimeoutZeroWindow,
        Self::TimeoutOrphan,
        Self::TimeoutFinWait2,
        Self::Unreachable,
        Self::ConnectFailed,
        Self::NeverEstablished,
        Self::DroppedSilently,
        Self::Unknown,
    ];

    /// The word for it in metrics, JSON and text.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ActiveClose => "active_close",
            Self::PassiveClose => "passive_close",
            Self::SimultaneousClose => "simultaneous_close",
            Self::ResetUnreadData => "reset_unread_data",
            Self::ResetLingerZero => "reset_linger_zero",
            Self::ResetDataAfterClose => "reset_data_after_close",
            Self::ResetListenerClosed => "reset_listener_closed",
            Self::ResetDisconnect => "reset_disconnect",
            Self::ResetLinger2 => "reset_linger2",
            Self::ResetOutOfMemory => "reset_out_of_memory",
            Self::ResetDestroyed => "reset_destroyed",
            Self::ResetOther => "reset_other",
            Self::ConnectRefused => "connect_refused",
            Self::PeerReset => "peer_reset",
            Self::PeerResetAfterFin => "peer_reset_after_fin",
            Self::PeerResetWhileClosing => "peer_reset_while_closing",
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutRetransmit => "timeout_retransmit",
            Self::TimeoutUser => "timeout_user",
            Self::TimeoutKeepalive => "timeout_keepalive",
            Self::TimeoutZeroWindow => "timeout_zero_window",
            Self::TimeoutOrphan => "timeout_orphan",
            Self::TimeoutFinWait2 => "timeout_fin_wait2",
            Self::Unreachable => "unreachable",
            Self::ConnectFailed => "connect_failed",
            Self::NeverEstablished => "never_established",
            Self::DroppedSilently => "dropped_silently",
            Self::Unknown => "unknown",
        }
    }

    /// The ending with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.label() == label)
    }
}
