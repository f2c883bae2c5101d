//! What a recogniser answers, and what more than one of them asks.

use crate::event::{Socket, errno};
use crate::track::Closed;

use super::Ending;

/// `tcp_send_active_reset` or its tracepoint.
pub(super) const RESET_UNSEEN: &str = "the reset itself was not seen";
/// `tcp_reset` or its tracepoint.
pub(super) const RST_UNSEEN: &str = "the RST itself was not seen";
/// As for [`RST_UNSEEN`], in SYN_SENT.
pub(super) const NO_RST: &str = "no RST was seen, so it is taken for ICMP port unreachable";
/// As for [`RESET_UNSEEN`], and no reset is needed to end like this.
pub(super) const NO_RESET: &str = "a reset was due, and none was seen";
/// What was seen is of no ending.
pub(super) const NOTHING_FITS: &str = "no known way of ending fits what was seen";

/// Doubts that there are where an event was lost, and hardly any others.
const UNSEEN: [&str; 5] = [RESET_UNSEEN, RST_UNSEEN, NO_RST, NO_RESET, NOTHING_FITS];

/// Whether a verdict with this doubt may be for want of an event.
pub(super) fn is_for_want(doubt: &str) -> bool {
    UNSEEN.contains(&doubt)
}

/// An ending that a recogniser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ending: Ending,
    /// Why it is not certain, if it is not.
    pub(super) doubt: Option<&'static str>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a recogniser's answer is an option"
)]
impl Found {
    /// Every fact was seen.
    pub(super) const fn exact(ending: Ending) -> Option<Self> {
        Some(Self {
            ending,
            doubt: None,
        })
    }

    /// A fact was concluded from others.
    pub(super) const fn inferred(ending: Ending, doubt: &'static str) -> Option<Self> {
        Some(Self {
            ending,
            doubt: Some(doubt),
        })
    }
}

/// Whether a timer of the kernel gave up: the error is then what ICMP or the route said last,
/// else ETIMEDOUT (`tcp_write_err`). An ICMP error that comes later ends a connect with a
/// timer still armed.
pub(super) fn timer_gave_up(closed: &Closed) -> bool {
    let error = closed.fatal_error();
    let said_before = |socket: &Socket| error == socket.soft_error && !socket.write_timer;
    error == errno::ETIMEDOUT || (error != 0 && closed.last_socket().is_some_and(said_before))
}
