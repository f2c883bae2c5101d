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
