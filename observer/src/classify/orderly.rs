//! Both ends exchanged a FIN.

use crate::event::State;
use crate::track::{Closed, Exit, Fate};

use super::Ending;
use super::found::Found;

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    if closed.fate() == Some(Fate::TimeWait) {
        return Found::exact(handed_over(closed));
    }
    let exit = closed.exit.as_ref()?;
    let numbers = exit.socket.sequences;
    let fin_acked = numbers.snd_una == numbers.write_seq;
    if closed.fatal_error() != 0 || closed.minisock.is_some() {
        return None;
    }
    match exit.from {
        State::LastAck if fin_acked => Found::exact(Ending::PassiveClose),
        State::Closing if fin_acked => time_wait_due(exit, Ending::SimultaneousClose),
        State::FinWait2 if exit.socket.done => time_wait_due(exit, Ending::ActiveClose),
        State::FinWait2 if exit.socket.dead => fin_wait2(closed),
        State::Established
        | State::SynSent
        | State::SynRecv
        | State::FinWait1
        | State::FinWait2
        | State::TimeWait
        | State::Close
        | State::CloseWait
        | State::LastAck
        | State::Listen
        | State::Closing
        | State::NewSynRecv => None,
    }
}

fn handed_over(closed: &Closed) -> Ending {
    let state = closed.exit_from().unwrap_or(closed.state);
    if state == State::Closing {
        Ending::SimultaneousClose
    } else {
        Ending::ActiveClose
    }
}

/// Both FINs were exchanged, and no minisock was seen. A socket that left its hash table gave
/// its place to one; where that does not show, the kernel may have had no room for it.
fn time_wait_due(exit: &Exit, ending: Ending) -> Option<Found> {
    if exit.socket.hashed.is_some() {
        return Found::exact(ending);
    }
    Found::inferred(
        ending,
        "its minisock was not seen: that there was room for TIME_WAIT is assumed",
    )
}

/// FIN_WAIT2 → CLOSE of an orphan without an error: a minisock waits for the peer's FIN, and
/// nothing says what became of it.
fn fin_wait2(closed: &Closed) -> Option<Found> {
    if closed.lossy() {
        return None;
    }
    if closed.last_socket()?.hashed != Some(true) {
        return Found::inferred(
            Ending::ActiveClose,
            "its minisock was not seen: the peer's FIN is assumed to follow",
        );
    }
    if !closed.end_is_whole() {
        return None;
    }
    Found::inferred(
        Ending::ActiveClose,
        "the kernel had no room to wait for the peer's FIN",
    )
}

/// TIME_WAIT was due, and the kernel had no room for it.
pub(super) fn overflowed(closed: &Closed) -> bool {
    closed
        .last_socket()
        .is_some_and(|socket| socket.hashed == Some(true))
        && closed.end_is_whole()
        && closed.minisock.is_none()
        && closed.handover_due()
        && closed.resets().is_empty()
        && !closed.may_have_reset_unseen()
}
