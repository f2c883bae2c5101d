//! The kernel stopped waiting for the peer.

use crate::event::State;
use crate::track::{Closed, Exit, Fate};

use super::Ending;
use super::found::{Found, errno};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    match closed.fate() {
        Some(Fate::Expired) => return Found::exact(Ending::TimeoutFinWait2),
        Some(Fate::Gone { before_time: false }) => {
            return Found::inferred(
                Ending::TimeoutFinWait2,
                "whether the minisock's time had run out was not visible",
            );
        }
        _ => {}
    }
    let exit = closed.exit.as_ref()?;
    if closed.reset_received.is_some() || exit.from == State::SynSent {
        return None;
    }
    let (error, soft_error) = (exit.socket.error, exit.socket.soft_error);
    if error == errno::ETIMEDOUT || (error != 0 && error == soft_error) {
        return timed_out(closed, exit);
    }
    let silent_peer = exit.from == State::FinWait2
        && error == 0
        && exit.socket.dead
        && exit.socket.linger2 >= 0
        && closed.reset_before_exit();
    if silent_peer {
        Found::exact(Ending::TimeoutFinWait2)
    } else {
        None
    }
}

/// `tcp_write_err`: the error is ETIMEDOUT, or what ICMP said last.
fn timed_out(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    if closed.reset_before_exit() {
        // Of all timers that give up with an error, only keepalive sends a reset.
        return Found::exact(Ending::TimeoutKeepalive);
    }
    let window_shut = socket.sequences.snd_wnd == 0;
    if window_shut && (socket.retransmits == 0 || !socket.dead) && unanswered(exit) {
        return Found::exact(Ending::TimeoutZeroWindow);
    }
    let reset_missed = !closed.sight.resets_sent || closed.gap.is_some();
    if reset_missed && socket.keepalive && socket.retransmits == 0 && socket.probes > 0 {
        return Found::inferred(Ending::TimeoutKeepalive, "the reset itself was not seen");
    }
    if socket.dead {
        return Found::exact(Ending::TimeoutOrphan);
    }
    if socket.user_timeout.is_some() {
        return Found::exact(Ending::TimeoutUser);
    }
    Found::exact(Ending::TimeoutRetransmit)
}

fn unanswered(exit: &Exit) -> bool {
    exit.socket.probes > 0 || exit.socket.retransmits > 0
}
