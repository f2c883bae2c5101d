//! Which of the kernel's own counters an ended connection moved.
//!
//! Takes the facts and the ending; gives counts under the names of `/proc/net/snmp` and
//! `/proc/net/netstat`. The sum over all ends of a namespace is what the kernel counted
//! there: the audit compares the two.

use crate::event::{Release, State};
use crate::track::{Closed, ResetSource};

use super::verdict::labels;
use super::{Ending, Group, left_behind, orderly};

labels! {
    /// A counter of the kernel that the end of a connection moves. Where each is raised:
    /// 5.10 to 7.2, `net/ipv4/`.
    Counter {
        /// ESTABLISHED or CLOSE_WAIT to CLOSE (`tcp_set_state`).
        EstabResets = "EstabResets",
        /// SYN_SENT or SYN_RECV given up for an error (`tcp_done`).
        AttemptFails = "AttemptFails",
        /// Resets sent, of the kernel's own accord or in reply.
        OutRsts = "OutRsts",
        /// close() with SO_LINGER on and 0, or data after close (`__tcp_close`,
        /// `tcp_rcv_state_process`).
        AbortOnData = "TCPAbortOnData",
        /// close() with unread data (`__tcp_close`).
        AbortOnClose = "TCPAbortOnClose",
        /// Too many orphans or too little memory (`tcp_check_oom`). A timer that finds so after
        /// its last try, with no data sent for a minute, takes an orphan away without a reset
        /// (`tcp_out_of_resources`): the kernel counts that too, but it looks like the end of a
        /// network namespace (dropped_silently), which counts nothing. So it is not counted
        /// here.
        AbortOnMemory = "TCPAbortOnMemory",
        /// A timer gave up (`tcp_write_err`).
        AbortOnTimeout = "TCPAbortOnTimeout",
        /// close() in FIN_WAIT2 with TCP_LINGER2 below 0 (`__tcp_close`).
        AbortOnLinger = "TCPAbortOnLinger",
        /// TIME_WAIT was due, and there was no room (`tcp_time_wait`).
        TimeWaitOverflow = "TCPTimeWaitOverflow",
    }
}

/// How much one end moved each counter, in the order of [`Counter::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; Counter::ALL.len()]);

impl Counts {
    /// How much it moved this one.
    pub fn get(&self, counter: Counter) -> u32 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    /// One counter moved once.
    #[cfg(test)]
    pub(crate) fn one(moved: Counter) -> Self {
        Self(Counter::ALL.map(|counter| u32::from(counter == moved)))
    }

    /// The counters that it moved, with how much.
    pub fn moved(&self) -> impl Iterator<Item = (Counter, u32)> {
        Counter::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
    }
}

/// What the end of `closed` moved.
pub(super) fn of(closed: &Closed, ending: Ending) -> Counts {
    Counts(Counter::ALL.map(|counter| match counter {
        Counter::EstabResets => u32::from(estab_reset(closed)),
        Counter::AttemptFails => u32::from(attempt_failed(closed, ending)),
        Counter::OutRsts => closed.resets_sent(),
        Counter::AbortOnData => {
            u32::from(lingered_zero(closed, ending) || answered_data_after_close(closed, ending))
        }
        Counter::AbortOnClose => u32::from(ending == Ending::ResetUnreadData),
        Counter::AbortOnMemory => u32::from(ending == Ending::ResetOutOfMemory),
        Counter::AbortOnTimeout => u32::from(timed_out(ending)),
        Counter::AbortOnLinger => u32::from(aborted_on_linger(closed, ending)),
        Counter::TimeWaitOverflow => u32::from(orderly::overflowed(closed)),
    }))
}

fn estab_reset(closed: &Closed) -> bool {
    matches!(
        closed.exit_from(),
        Some(State::Established | State::CloseWait)
    )
}

/// `tcp_done` counts it; close(), `tcp_disconnect` and a connect that cannot start do not
/// come through it, and set no error before CLOSE.
fn attempt_failed(closed: &Closed, ending: Ending) -> bool {
    let opening = matches!(closed.exit_from(), Some(State::SynSent | State::SynRecv));
    let own_choice = matches!(
        ending,
        Ending::NeverEstablished
            | Ending::ConnectFailed
            | Ending::ResetUnreadData
            | Ending::ResetLingerZero
            | Ending::ResetDisconnect
            | Ending::ResetListenerClosed
    );
    opening && !own_choice
}

/// close() looks at SO_LINGER after unread data, in any state but CLOSE, whether or not there
/// is something to reset.
fn lingered_zero(closed: &Closed, ending: Ending) -> bool {
    let Some(socket) = closed.last_socket() else {
        return false;
    };
    let closing = match socket.release {
        Release::Yes => true,
        Release::Unknown => socket.subflow && ending.group() != Group::Orderly,
        Release::No => false,
    };
    socket.linger == Some(0)
        && closing
        && socket.send_shut
        && socket.receive_shut
        && !socket.dead
        && !socket.repair
        && left_behind::of(closed).unread == Some(0)
        // In a process that exits, what the peer or a timer does may come before close().
        && matches!(ending.group(), Group::ResetSent | Group::Other)
}

/// Only a full socket counts it; a minisock answers without.
fn answered_data_after_close(closed: &Closed, ending: Ending) -> bool {
    let by_reply = closed
        .resets()
        .iter()
        .any(|reset| reset.after_exit && reset.source == ResetSource::Reply);
    closed.minisock.is_none()
        && (ending == Ending::ResetDataAfterClose || (ending == Ending::ResetLinger2 && by_reply))
}

fn timed_out(ending: Ending) -> bool {
    matches!(
        ending,
        Ending::TimeoutConnect
            | Ending::TimeoutRetransmit
            | Ending::TimeoutUser
            | Ending::TimeoutKeepalive
            | Ending::TimeoutZeroWindow
            | Ending::TimeoutOrphan
    )
}

/// A timer that resets the same socket later counts nothing.
fn aborted_on_linger(closed: &Closed, ending: Ending) -> bool {
    ending == Ending::ResetLinger2 && closed.reset_after_exit()
}
