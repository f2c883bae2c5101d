//! This host sent a RST.

use crate::event::{Release, State, errno};
use crate::track::{Closed, Exit, Fate, ResetSource};

use super::found::{Found, RESET_UNSEEN};
use super::{Ending, gave_up, left_behind};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    match closed.fate() {
        Some(Fate::Answered) => return Found::exact(Ending::ResetDataAfterClose),
        Some(Fate::Aborted) => return Found::exact(Ending::ResetDestroyed),
        Some(Fate::TimeWait | Fate::PeerReset | Fate::Expired | Fate::Gone { .. }) | None => {}
    }
    let exit = closed.exit.as_ref()?;
    data_after_close(closed, exit)
        .or_else(|| destroyed(closed))
        .or_else(|| closed_abortively(closed, exit))
        .or_else(|| reset_first(closed, exit))
}

/// Data for a socket that nobody reads: the kernel resets it as if a RST had come, or lets
/// it go out of FIN_WAIT2, and answers the segment with a reset.
fn data_after_close(closed: &Closed, exit: &Exit) -> Option<Found> {
    let ours_closing = matches!(
        exit.from,
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::CloseWait
    );
    if !ours_closing {
        return None;
    }
    let replied = closed.replied_after_exit();
    match closed.reset_received() {
        Some(reset) if reset.segment_is_reset == Some(true) => None,
        Some(_) if replied => Found::exact(Ending::ResetDataAfterClose),
        Some(reset) if reset.segment_is_reset == Some(false) => Found::inferred(
            Ending::ResetDataAfterClose,
            "the reset that answered the data was not seen",
        ),
        None if replied && exit.socket.linger2 < 0 && exit.from == State::FinWait2 => {
            Found::exact(Ending::ResetLinger2)
        }
        None if replied => Found::exact(Ending::ResetDataAfterClose),
        Some(_) | None => None,
    }
}

/// `tcp_abort` alone leaves ECONNABORTED; its mere call proves nothing, since older kernels
/// refuse orphans.
fn destroyed(closed: &Closed) -> Option<Found> {
    if closed.fatal_error() != errno::ECONNABORTED {
        return None;
    }
    if closed.reset_before_exit() || closed.reset_after_exit() {
        return Found::exact(Ending::ResetDestroyed);
    }
    if !closed.end_is_whole() || !closed.sight().resets_sent {
        return Found::inferred(Ending::ResetDestroyed, RESET_UNSEEN);
    }
    Found::exact(Ending::DroppedSilently)
}

/// CLOSE first, then the reset: close(), disconnect, or a closing listener.
fn closed_abortively(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    let seen = closed.reset_after_exit();
    let assumed = !closed.sight().resets_sent
        || (!closed.end_is_whole() && !closed.reset_before_exit())
        || (needs_reset(exit.from) && !socket.repair && !closed.reset_before_exit());
    if closed.fatal_error() != 0 || !(seen || assumed) || exit.from == State::SynSent {
        return None;
    }
    let ending = abortive(closed, exit);
    let by_close = matches!(ending, Ending::ResetUnreadData | Ending::ResetLingerZero);
    if seen && by_close && socket.release == Release::Unknown && closed.close_called.is_none() {
        return Found::inferred(ending, "that this is close() is assumed");
    }
    if seen {
        return Found::exact(ending);
    }
    // From these states a subflow goes to CLOSE by a reset alone.
    let aborted = socket.subflow
        && closed.reset_received().is_none()
        && matches!(
            exit.from,
            State::Established | State::CloseWait | State::FinWait1
        );
    if aborted || by_close {
        return Found::inferred(ending, RESET_UNSEEN);
    }
    None
}

/// States in which the kernel resets what is closed abortively (`tcp_need_reset`, 5.10 to 7.2).
pub(super) fn needs_reset(state: State) -> bool {
    matches!(
        state,
        State::Established | State::CloseWait | State::FinWait1 | State::FinWait2 | State::SynRecv
    )
}

fn abortive(closed: &Closed, exit: &Exit) -> Ending {
    let socket = &exit.socket;
    let disconnected = closed.teardown().disconnected.as_ref();
    let in_queue = disconnected.map_or(!socket.has_socket && !socket.dead, |call| !call.has_socket);
    let forgotten = closed.teardown().forgotten.is_some();
    // Whatever made Multipath TCP give a subflow up, it does it with the means of linger 0.
    if socket.subflow && !forgotten {
        return Ending::ResetOther;
    }
    if forgotten || (in_queue && !socket.dead) {
        return Ending::ResetListenerClosed;
    }
    let closing = socket.send_shut
        && socket.receive_shut
        && (socket.release == Release::Yes
            || (socket.release == Release::Unknown
                && (closed.close_called.is_some() || !closed.sight().close)));
    let unread = left_behind::of(closed).unread.unwrap_or(0);
    if closing && unread > 0 && !socket.dead && disconnected.is_none() {
        return Ending::ResetUnreadData;
    }
    if closing && socket.linger == Some(0) && !socket.dead {
        return Ending::ResetLingerZero;
    }
    if socket.dead && exit.from == State::FinWait2 && socket.linger2 < 0 {
        return Ending::ResetLinger2;
    }
    if socket.dead {
        return Ending::ResetOutOfMemory;
    }
    if disconnected.is_some() || (socket.has_socket && !closing) {
        return Ending::ResetDisconnect;
    }
    Ending::ResetOther
}

/// The reset first, then CLOSE without an error: an orphan that the kernel cannot afford, or
/// a path of its own. A keepalive or FIN_WAIT2 timer that resets is the peer's silence.
fn reset_first(closed: &Closed, exit: &Exit) -> Option<Found> {
    let reset = closed
        .resets()
        .iter()
        .find(|reset| !reset.after_exit && reset.source == ResetSource::Active)?;
    let error = closed.fatal_error();
    if error == errno::ETIMEDOUT || reset.state != exit.from {
        return None;
    }
    let (socket, from) = (&exit.socket, exit.from);
    if (error != 0 && error == socket.soft_error) || gave_up::unsaid(closed, exit).is_some() {
        return None;
    }
    let orphan = socket.dead && error == 0;
    if orphan && from == State::FinWait2 {
        return if socket.linger2 < 0 {
            Found::exact(Ending::ResetLinger2)
        } else {
            None
        };
    }
    if orphan && matches!(from, State::FinWait1 | State::LastAck | State::Closing) {
        return Found::exact(Ending::ResetOutOfMemory);
    }
    Found::exact(Ending::ResetOther)
}
