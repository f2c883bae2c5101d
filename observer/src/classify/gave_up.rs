//! The kernel stopped waiting for the peer.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::event::{Release, Socket, State};
use crate::track::{Closed, Exit, Fate, Gap, ResetSource, Teardown};

use super::found::{self, Found, RESET_UNSEEN};
use super::{Ending, ResetCause};

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
    if closed.reset_received().is_some() || exit.from == State::SynSent {
        return None;
    }
    if found::timer_gave_up(closed) {
        return timed_out(closed, exit);
    }
    if let Some(found) = unsaid(closed, exit) {
        return Some(found);
    }
    let silent_peer = exit.from == State::FinWait2
        && closed.fatal_error() == 0
        && exit.socket.dead
        && exit.socket.linger2 >= 0
        && closed.reset_before_exit();
    if silent_peer {
        Found::exact(Ending::TimeoutFinWait2)
    } else {
        None
    }
}

/// A timer whose error the application took before the state changed: SO_ERROR clears `sk_err`
/// without the socket's lock, so also between `tcp_write_err` and `tcp_done` (5.10 to 7.2).
pub(super) fn unsaid(closed: &Closed, exit: &Exit) -> Option<Found> {
    const TAKEN: &str =
        "the error was gone when the state changed: the application is assumed to have read it";
    let socket = &exit.socket;
    let held = socket.has_socket && !socket.dead && socket.release != Release::Yes;
    let torn_down = closed.teardown() != &Teardown::default();
    if !held || socket.error != 0 || socket.subflow || socket.repair || torn_down {
        return None;
    }
    let mut resets = closed.resets().iter();
    let reset = resets.find(|it| !it.after_exit && it.source == ResetSource::Active);
    let Some(reset) = reset else {
        // A reset or a disconnect() may be what was not seen.
        let seen = matches!(closed.gap, None | Some(Gap::Birth));
        let ending = timer(socket).filter(|_| seen && closed.resets().is_empty())?;
        return Found::inferred(ending, TAKEN);
    };
    if reset.state != exit.from {
        return None;
    }
    let cause = reset
        .reason
        .as_ref()
        .map(|it| ResetCause::from_reason(&it.name));
    match cause {
        Some(Some(ResetCause::KeepaliveTimeout)) => Found::exact(Ending::TimeoutKeepalive),
        None if socket.keepalive => Found::inferred(Ending::TimeoutKeepalive, TAKEN),
        Some(_) | None => None,
    }
}

/// The timer that had tried in vain what it tries again and again.
fn timer(socket: &Socket) -> Option<Ending> {
    let numbers = socket.sequences;
    let (unacked, unsent) = (
        numbers.snd_una != numbers.snd_nxt,
        numbers.snd_nxt != numbers.write_seq,
    );
    if socket.retransmits > 0 && unacked {
        return Some(unacknowledged(socket));
    }
    let probed = socket.probes > 0 && unsent && numbers.snd_wnd == 0;
    probed.then_some(Ending::TimeoutZeroWindow)
}

/// Each timer gives up with other queues (`net/ipv4/tcp_timer.c`, 5.10 to 7.2): the one for
/// retransmissions with something in flight, the one for window probes with something to send
/// and nothing in flight, keepalive with neither.
fn timed_out(closed: &Closed, exit: &Exit) -> Option<Found> {
    let numbers = exit.socket.sequences;
    if closed.reset_before_exit() {
        // Of all timers that give up with an error, only keepalive sends a reset.
        return Found::exact(Ending::TimeoutKeepalive);
    }
    if numbers.snd_una != numbers.snd_nxt {
        return Found::exact(unacknowledged(&exit.socket));
    }
    if numbers.snd_nxt != numbers.write_seq {
        return unsent(closed, exit);
    }
    if exit.socket.keepalive {
        return Found::inferred(Ending::TimeoutKeepalive, RESET_UNSEEN);
    }
    None
}

/// Who holds the socket bounds the wait by TCP_USER_TIMEOUT alone, if it is set: the kernel
/// looks at `tcp_retries2` only without it. A shut window is probed for as long as somebody
/// holds the socket.
fn unacknowledged(socket: &Socket) -> Ending {
    if socket.dead {
        Ending::TimeoutOrphan
    } else if socket.sequences.snd_wnd == 0 {
        Ending::TimeoutZeroWindow
    } else if socket.user_timeout.is_some() {
        Ending::TimeoutUser
    } else {
        Ending::TimeoutRetransmit
    }
}

/// The window is shut, or the segments do not even leave this host. Here TCP_USER_TIMEOUT and
/// the number of probes both bound the wait. With the window open only the queues tell which
/// timer gave up; that of an orphan is the same ending whichever it was.
fn unsent(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    if socket.sequences.snd_wnd == 0 {
        return Found::exact(Ending::TimeoutZeroWindow);
    }
    if socket.dead {
        return Found::exact(Ending::TimeoutOrphan);
    }
    // Of a connection whose beginning nobody saw, it is not known how long it waited.
    let born = closed.born_at();
    let waited = |limit: NonZeroU32| {
        let limit = Duration::from_millis(limit.get().into());
        born.is_none_or(|born| exit.at.since(born) >= limit)
    };
    if socket.user_timeout.is_some_and(waited) {
        return Found::inferred(
            Ending::TimeoutUser,
            "the number of probes may have been the limit as well",
        );
    }
    Found::inferred(
        Ending::TimeoutRetransmit,
        "nothing was in flight and the window was open: which timer gave up is assumed",
    )
}
