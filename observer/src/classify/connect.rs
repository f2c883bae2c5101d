//! Connections that never were established from this end.

use crate::event::{State, errno};
use crate::track::{Closed, Exit};

use super::Ending;
use super::found::{self, Found, NO_RST};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    let exit = closed.exit.as_ref()?;
    match exit.from {
        State::SynSent => connecting(closed, exit),
        State::SynRecv => answering(closed),
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
    match closed.fatal_error() {
        _ if closed.reset_received().is_some() => Found::exact(Ending::ConnectRefused),
        0 => given_up(closed, exit),
        _ if found::timer_gave_up(closed) => Found::exact(Ending::TimeoutConnect),
        // A RST that was missed, or ICMP port unreachable.
        errno::ECONNREFUSED if !closed.end_is_whole() => None,
        errno::ECONNREFUSED => Found::inferred(Ending::Unreachable, NO_RST),
        errno::ECONNABORTED => Found::exact(Ending::DroppedSilently),
        _ => Found::exact(Ending::Unreachable),
    }
}

/// No error in SYN_SENT: the kernel could not start, or somebody here gave up.
fn given_up(closed: &Closed, exit: &Exit) -> Option<Found> {
    let socket = &exit.socket;
    // A close that waits for a timer to end the connection has not shut anything yet.
    let closing = socket.send_shut && socket.receive_shut;
    if closing || closed.teardown().disconnected.is_some() {
        return Found::exact(Ending::NeverEstablished);
    }
    let no_port = closed.ends().is_none_or(|ends| ends.local.port() == 0);
    if socket.sequences.write_seq == 0 || no_port {
        return Found::exact(Ending::ConnectFailed);
    }
    if !closed.end_is_whole() {
        return None;
    }
    if closed.sight().teardown && socket.retransmits > 0 {
        return Found::inferred(
            Ending::TimeoutConnect,
            "the application took the error (SO_ERROR) before the connection had ended",
        );
    }
    if closed.sight().teardown {
        return Found::exact(Ending::ConnectFailed);
    }
    Found::inferred(Ending::NeverEstablished, "tcp_disconnect is not visible")
}

/// A full socket in SYN_RECV: TCP Fast Open or a simultaneous open.
fn answering(closed: &Closed) -> Option<Found> {
    if closed.reset_received().is_some() {
        return None;
    }
    match closed.fatal_error() {
        0 | errno::ECONNABORTED | errno::ECONNRESET => None,
        _ if found::timer_gave_up(closed) => Found::exact(Ending::TimeoutConnect),
        _ => Found::exact(Ending::Unreachable),
    }
}
