//! Why this host sent resets.

use crate::event::State;
use crate::track::{Closed, ResetFact, ResetSource};

use super::{Ending, ResetCause, ResetCauses};

impl ResetCause {
    /// The cause that a kernel's reason names, where it names one that is specific enough.
    pub fn from_reason(reason: &str) -> Option<Self> {
        Some(match reason {
            "tcp_abort_on_close" => Self::UnreadData,
            "tcp_abort_on_linger" => Self::Linger2,
            "tcp_abort_on_memory" => Self::OutOfMemory,
            "tcp_abort_on_data" | "tcp_timewait_socket" => Self::DataAfterClose,
            "tcp_keepalive_timeout" => Self::KeepaliveTimeout,
            "no_socket" => Self::NoSocket,
            "invalid_syn" | "tcp_invalid_ack_sequence" | "tcp_flags" => Self::Handshake,
            _ => return None,
        })
    }
}

/// The cause of each reset of a connection, in order.
pub(super) fn causes(closed: &Closed, ending: Ending) -> ResetCauses {
    closed
        .resets()
        .iter()
        .map(|reset| cause(reset, ending))
        .collect()
}

fn cause(reset: &ResetFact, ending: Ending) -> ResetCause {
    let handshake = matches!(reset.state, State::SynSent | State::SynRecv);
    if reset.source == ResetSource::Reply && handshake {
        return ResetCause::Handshake;
    }
    by_ending(ending)
        .or_else(|| {
            let reason = reset.reason.as_ref()?;
            ResetCause::from_reason(&reason.name)
        })
        .unwrap_or(ResetCause::Other)
}

fn by_ending(ending: Ending) -> Option<ResetCause> {
    BY_ENDING
        .into_iter()
        .find(|(known, _)| *known == ending)
        .map(|(_, cause)| cause)
}

const BY_ENDING: [(Ending, ResetCause); 11] = [
    (Ending::ResetUnreadData, ResetCause::UnreadData),
    (Ending::ResetLingerZero, ResetCause::LingerZero),
    (Ending::ResetDataAfterClose, ResetCause::DataAfterClose),
    (Ending::ResetListenerClosed, ResetCause::ListenerClosed),
    (Ending::ResetDisconnect, ResetCause::Disconnect),
    (Ending::ResetLinger2, ResetCause::Linger2),
    (Ending::TimeoutFinWait2, ResetCause::Linger2),
    (Ending::ResetOutOfMemory, ResetCause::OutOfMemory),
    (Ending::ResetDestroyed, ResetCause::Destroyed),
    (Ending::ResetOther, ResetCause::Other),
    (Ending::TimeoutKeepalive, ResetCause::KeepaliveTimeout),
];
