//! Both ends exchanged a FIN.

use crate::event::State;
use crate::track::{Closed, Fate};

use super::Ending;
use super::found::Found;

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    if closed.fate() == Some(Fate::TimeWait) {
        return Found::exact(handed_over(closed));
    }
    let exit = closed.exit.as_ref()?;
    let numbers = exit.socket.sequences;
    let fin_acked = numbers.snd_una == numbers.write_seq;
    if exit.socket.error != 0 || closed.minisock.is_some() {
        return None;
    }
    match exit.from {
        State::LastAck if fin_acked => Found::exact(Ending::PassiveClose),
        State::Closing if fin_acked => Found::exact(Ending::SimultaneousClose),
        State::FinWait2 if exit.socket.done => Found::exact(Ending::ActiveClose),
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
    if closed.gap.is_some() {
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
        && closed.gap.is_none()
        && closed.minisock.is_none()
        && closed.handover_due()
        && closed.resets.is_empty()
}
