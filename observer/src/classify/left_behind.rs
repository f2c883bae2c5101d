//! What was lost when a connection ended.

use crate::event::State;
use crate::track::{Closed, Exit};

use super::LeftBehind;

/// Bytes in the queues just before CLOSE, from sequence numbers: modulo 2³², never below 0,
/// FINs and SYNs not counted.
pub(super) fn of(closed: &Closed) -> LeftBehind {
    closed
        .exit
        .as_ref()
        .map_or_else(LeftBehind::default, at_exit)
}

fn at_exit(exit: &Exit) -> LeftBehind {
    let (socket, from) = (&exit.socket, exit.from);
    let numbers = socket.sequences;
    if from == State::SynSent && !exit.connect_began() {
        // The connect did not start: the numbers are another connection's.
        return LeftBehind {
            unread: Some(0),
            unsent: Some(0),
            unacked: Some(0),
        };
    }
    let fin_queued = matches!(from, State::FinWait1 | State::LastAck | State::Closing);
    let syn_in_flight = matches!(from, State::SynSent | State::SynRecv);
    let fin_sent = numbers.snd_nxt == numbers.write_seq;
    let in_flight = numbers.snd_nxt != numbers.snd_una;
    let unread = between(numbers.copied_seq, numbers.rcv_nxt, socket.done);
    let unsent = between(numbers.snd_nxt, numbers.write_seq, fin_queued && !fin_sent);
    let unacked = between(
        numbers.snd_una,
        numbers.snd_nxt,
        in_flight && (syn_in_flight || (fin_queued && fin_sent)),
    );
    LeftBehind {
        unread: Some(unread),
        unsent: Some(unsent),
        unacked: Some(unacked),
    }
}

/// Sequence numbers from `start` to `end`, less one that carries no data.
fn between(start: u32, end: u32, less_one: bool) -> u32 {
    let length = i64::from(end.wrapping_sub(start).cast_signed()) - i64::from(less_one);
    u32::try_from(length).unwrap_or(0)
}
