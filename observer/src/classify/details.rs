//! What a verdict says beside the ending: who, in what order, and where TIME_WAIT is.

use crate::event::{Release, State};
use crate::track::{Closed, Fate, Origin, Who};

use super::{Closer, Ending, Group, Initiator, Role, TimeWait, orderly};

pub(super) fn role(closed: &Closed) -> Role {
    match closed.origin {
        Origin::Connected => Role::Client,
        Origin::Accepted => Role::Server,
        Origin::Unseen => Role::Unknown,
    }
}

/// Whose FIN or RST came first; the kernel where a timer or want of memory ended it.
pub(super) fn initiator(closed: &Closed, ending: Ending) -> Option<Initiator> {
    let by_kernel = [Ending::ResetOutOfMemory, Ending::ConnectFailed];
    let by_group = match ending.group() {
        Group::GaveUp => return Some(Initiator::Kernel),
        _ if by_kernel.contains(&ending) => return Some(Initiator::Kernel),
        Group::ResetSent => Some(Initiator::Local),
        Group::ResetReceived => Some(Initiator::Peer),
        Group::Other if ending == Ending::NeverEstablished => Some(Initiator::Local),
        Group::Orderly | Group::Other => None,
    };
    first_fin(closed).or(by_group)
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
    let (release, by, at) = if let Some(fin) = &closed.fin {
        (fin.release, fin.by, fin.at)
    } else {
        let exit = closed.exit.as_ref()?;
        let ours = exit.socket.release == Release::Yes || closed.reset_after_exit();
        let ours = ours || exit.from == State::SynSent;
        let others = closed.teardown().forgotten.is_some() || closed.reset_received().is_some();
        if !ours || others || closed.fatal_error() != 0 {
            return None;
        }
        (exit.socket.release, exit.by, exit.at)
    };
    let called = closed
        .close_called
        .as_ref()
        .is_some_and(|call| call.at <= at);
    let by_release = if closed.task(by).exiting {
        Closer::Exit
    } else {
        Closer::Close
    };
    match release {
        Release::Yes => Some(by_release),
        // Multipath TCP decides when a subflow ends, often in a worker of the kernel.
        Release::No | Release::Unknown if closed.subflow() => None,
        Release::Unknown if called => Some(by_release),
        Release::No | Release::Unknown if closed.fin.is_none() => None,
        Release::No => Some(Closer::Shutdown),
        Release::Unknown if closed.sight().close && closed.gap.is_none() => Some(Closer::Shutdown),
        Release::Unknown => None,
    }
}

/// The process behind the end: an administrator, a closing listener, or who closed.
pub(super) fn closed_by(closed: &Closed, ending: Ending) -> Option<Who> {
    let at_exit = closed.exit.as_ref().map(|exit| exit.by);
    if ending == Ending::ResetDestroyed {
        return closed.teardown().aborted.or(at_exit);
    }
    if ending == Ending::ResetListenerClosed {
        return closed.teardown().forgotten.or(at_exit);
    }
    let in_call = [
        Ending::ResetDisconnect,
        Ending::ConnectFailed,
        Ending::NeverEstablished,
    ];
    let inside_close = closed
        .last_socket()
        .is_some_and(|last| last.release == Release::Yes)
        && closed.fatal_error() == 0;
    let call = closed
        .close_called
        .as_ref()
        .filter(|_| closer(closed).is_some());
    match &closed.fin {
        _ if in_call.contains(&ending) => at_exit,
        _ if closed.subflow() && closer(closed).is_none() => None,
        Some(fin) => Some(fin.by),
        None if inside_close => at_exit,
        None => call.map(|call| call.by),
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
            let before = closed.written_by_peer_fin?;
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
    match ending.group() {
        Group::Orderly if orderly::overflowed(closed) => TimeWait::None,
        Group::Orderly if ending == Ending::ActiveClose => TimeWait::Local,
        Group::Orderly if ending == Ending::PassiveClose => TimeWait::Peer,
        Group::Orderly => TimeWait::Both,
        Group::Other if ending == Ending::Unknown => TimeWait::Unknown,
        Group::ResetSent | Group::ResetReceived | Group::GaveUp | Group::Other => TimeWait::None,
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
        Some(call) => call.may_block && !closed.task(call.by).exiting,
        None => fin.release == Release::Yes && !closed.task(fin.by).exiting && fin.lingers,
    };
    waits && closed.orphaned_early.unwrap_or(false) && exit.socket.dead
}

/// shutdown() sent the FIN, and whether close() then waited in vain does not show: calls of
/// close are not visible.
pub(super) fn linger_unseen(closed: &Closed) -> bool {
    let (Some(exit), Some(fin)) = (&closed.exit, &closed.fin) else {
        return false;
    };
    let may_wait = exit.socket.dead && exit.socket.linger.is_some_and(|jiffies| jiffies > 0);
    let seen = closed.sight().close || closed.close_called.is_some() || fin.release == Release::Yes;
    may_wait && !seen && closed.orphaned_early.unwrap_or(false)
}

/// Whether it ended while a minisock stood for it and was what decided.
pub(super) fn decided_by_minisock(closed: &Closed) -> bool {
    matches!(
        closed.fate(),
        Some(Fate::Answered | Fate::PeerReset | Fate::Aborted | Fate::Expired | Fate::Gone { .. })
    )
}
