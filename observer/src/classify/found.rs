//! What a recogniser answers, and what more than one of them asks.

use crate::event::{Socket, errno};
use crate::track::Closed;

use super::Ending;

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
