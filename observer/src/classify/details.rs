//! What a verdict says beside the ending: who, in what order, and where TIME_WAIT is.

use crate::event::{Release, State, Task};
use crate::track::{Closed, Fate, Origin};

use super::{Closer, Ending, Group, Initiator, Role, TimeWait, orderly};

pub(super) fn role(closed: &Closed) -> Role {
    match closed.origin {
        Origin::Connected(_) => Role::Client,
        Origin::Accepted(_) => Role::Server,
        Origin::Unseen => Role::Unknown,
    }
}

/// Whose FIN or RST came first; the kernel where a timer or want of memory ended it.
pub(super) fn initiator(closed: &Closed, ending: Ending) -> Option<Initiator> {
    if ending.group() == Group::GaveUp {
        return Some(Initiator::Kernel);
    }
    match ending {
        Ending::ResetOutOfMemory | Ending::ConnectFailed => Some(Initiator::Kernel),
        Ending::ConnectRefused => Some(Initiator::Peer),
        Ending::NeverEstablished => Some(Initiator::Local),
        _ => first_fin(closed).or(match ending.group() {
            Group::ResetSent => Some(Initiator::Local),
            Group::ResetReceived => Some(Initiator::Peer),
            Group::Orderly | Group::GaveUp | Group::Other => None,
        }),
    }
}

/// The states tell the order of the FINs, even where the FINs themselves were missed.
fn first_fin(closed: &Closed) -> Option<Initiator> {
    let last = closed.exit_from().unwrap_or(closed.state);
    match last {
        State::FinWait1 | State::FinWait2 => Some(Initiator::Local),
        State::Closing => Some(Initiator::Both),
        State::CloseWait | State::LastAck => Some(Initiator::Peer),
        State::Established
        | State::SynSent
        | State::SynRecv
        | State::TimeWait
        | State::Close
        | State::Listen
        | State::NewSynRecv => None,
    }
}

/// How the application made this end's FIN or RST go out.
pub(super) fn closer(closed: &Closed) -> Option<Closer> {
    let (release, task, at) = if let Some(fin) = &closed.fin {
        (fin.release, &fin.task, fin.at)
    } else {
        let exit = closed.exit.as_ref()?;
        let ours = exit.socket.release == Release::Yes || closed.reset_after_exit();
        let ours = ours || exit.from == State::SynSent;
        let others = closed.teardown.forgotten.is_some() || closed.reset_received.is_some();
        if !ours || others || exit.socket.error != 0 {
            return None;
        }
        (exit.socket.release, &exit.task, exit.at)
    };
    let called = closed
        .close_called
        .as_ref()
        .is_some_and(|call| call.at <= at);
    let by_release = if task.exiting {
        Closer::Exit
    } else {
        Closer::Close
    };
    match release {
        Release::Yes => Some(by_release),
        Release::Unknown if called => Some(by_release),
        Release::No | Release::Unknown if closed.fin.is_none() => None,
        Release::No => Some(Closer::Shutdown),
        Release::Unknown if closed.sight.close && closed.gap.is_none() => Some(Closer::Shutdown),
        Release::Unknown => None,
    }
}

/// The process behind the end: an administrator, a closing listener, or who closed.
pub(super) fn closed_by(closed: &Closed, ending: Ending) -> Option<&Task> {
    let exit = closed.exit.as_ref();
    match ending {
        Ending::ResetDestroyed => closed
            .teardown
            .aborted
            .as_ref()
            .or_else(|| exit.map(|exit| &exit.task)),
        Ending::ResetListenerClosed => closed
            .teardown
            .forgotten
            .as_ref()
            .or_else(|| exit.map(|exit| &exit.task)),
        Ending::ResetDisconnect | Ending::ConnectFailed | Ending::NeverEstablished => {
            exit.map(|exit| &exit.task)
        }
        _ => {
            let fin = closed.fin.as_ref().map(|fin| &fin.task);
            let call = closed.close_called.as_ref().map(|call| &call.task);
            let inside_close = exit
                .filter(|exit| exit.socket.release == Release::Yes && exit.socket.error == 0)
                .map(|exit| &exit.task);
            fin.or(inside_close).or(call)
        }
    }
}

/// Whether one way stayed open after a FIN.
///
/// - This end's FIN came first: true if shutdown() sent it and left the receive side open;
///   false if close(), exit or shutdown() of both sides did.
/// - The peer's FIN came first: true if the application here wrote more before its own FIN,
///   reset or end. That the peer merely kept its socket open does not show on the wire.
/// - No FIN of either side: false.
/// - Not known where the deciding change was not seen.
pub(super) fn half_closed(closed: &Closed) -> Option<bool> {
    match first_fin(closed) {
        Some(Initiator::Local | Initiator::Both) => {
            let fin = closed.fin.as_ref()?;
            match closer(closed)? {
                Closer::Shutdown => Some(!fin.receive_shut),
                Closer::Close | Closer::Exit => Some(false),
            }
        }
        Some(Initiator::Peer) => {
            let before = closed.peer_fin?.write_seq;
            let after = match &closed.fin {
                Some(fin) => fin.write_seq,
                None => closed.last_sequences()?.write_seq,
            };
            Some(after != before)
        }
        Some(Initiator::Kernel) | None => closed.exit.as_ref().map(|_| false),
    }
}

pub(super) fn time_wait(closed: &Closed, ending: Ending) -> TimeWait {
    match ending {
        Ending::ActiveClose | Ending::SimultaneousClose if orderly::overflowed(closed) => {
            TimeWait::None
        }
        Ending::ActiveClose => TimeWait::Local,
        Ending::PassiveClose => TimeWait::Peer,
        Ending::SimultaneousClose => TimeWait::Both,
        Ending::Unknown => TimeWait::Unknown,
        _ => TimeWait::None,
    }
}

/// A blocking close returned before the peer had acknowledged the FIN: the socket was an
/// orphan already when it left the state that close waits in.
pub(super) fn linger_expired(closed: &Closed) -> bool {
    let Some(exit) = &closed.exit else {
        return false;
    };
    let Some(fin) = &closed.fin else { return false };
    let waits = match &closed.close_called {
        Some(call) => call.timeout > 0 && !call.task.exiting,
        None => {
            fin.release == Release::Yes
                && !fin.task.exiting
                && fin.linger.is_some_and(|jiffies| jiffies > 0)
        }
    };
    waits && closed.orphaned_early.unwrap_or(false) && exit.socket.dead
}

/// Whether it ended while a minisock stood for it and was what decided.
pub(super) fn decided_by_minisock(closed: &Closed) -> bool {
    matches!(
        closed.fate(),
        Some(Fate::Answered | Fate::PeerReset | Fate::Aborted | Fate::Expired | Fate::Gone { .. })
    )
}
