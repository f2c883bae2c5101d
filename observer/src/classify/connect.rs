//! Connections that never were established from this end.

use crate::event::{Release, State};
use crate::track::{Closed, Exit};

use super::found::{Found, errno};
use super::{Ending, left_behind};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    let exit = closed.exit.as_ref()?;
    match exit.from {
        State::SynSent => connecting(closed, exit),
        State::SynRecv => answering(closed, exit),
        State::Established
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

fn connecting(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    match socket.error {
        0 => given_up(closed, exit),
        _ if closed.reset_received.is_some() => Found::exact(Ending::ConnectRefused),
        // A RST that was missed, or ICMP port unreachable.
        errno::ECONNREFUSED if closed.gap.is_some() => None,
        errno::ECONNREFUSED => Found::inferred(
            Ending::Unreachable,
            "no RST was seen, so it is taken for ICMP port unreachable",
        ),
        errno::ECONNABORTED => Found::exact(Ending::DroppedSilently),
        errno::ETIMEDOUT => Found::exact(Ending::TimeoutConnect),
        error if error == socket.soft_error && socket.retransmits > 0 => {
            Found::exact(Ending::TimeoutConnect)
        }
        _ => Found::exact(Ending::Unreachable),
    }
}

/// No error in SYN_SENT: the kernel could not start, or somebody here gave up.
fn given_up(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    let closing = socket.release == Release::Yes
        || closed.close_called.is_some()
        || (socket.send_shut && socket.receive_shut);
    if closing || closed.teardown.disconnected.is_some() {
        return Found::exact(Ending::NeverEstablished);
    }
    let no_port = closed.ends.is_none_or(|ends| ends.local.port() == 0);
    if socket.sequences.write_seq == 0 || no_port {
        return Found::exact(Ending::ConnectFailed);
    }
    if closed.gap.is_some() {
        return None;
    }
    if closed.sight.teardown {
        return Found::exact(Ending::ConnectFailed);
    }
    Found::inferred(Ending::NeverEstablished, "tcp_disconnect is not visible")
}

/// A full socket in SYN_RECV: TCP Fast Open or a simultaneous open.
fn answering(closed: &Closed, exit: &Exit) -> Option<Found> {
    if closed.reset_received.is_some() || left_behind::of(closed).unread.is_some_and(|n| n > 0) {
        return None;
    }
    match exit.socket.error {
        errno::ETIMEDOUT => Found::exact(Ending::TimeoutConnect),
        0 | errno::ECONNABORTED | errno::ECONNRESET => None,
        error if error == exit.socket.soft_error && exit.socket.retransmits > 0 => {
            Found::exact(Ending::TimeoutConnect)
        }
        _ => Found::exact(Ending::Unreachable),
    }
}
