//! What was done to a connection beside its state changes.
//!
//! Takes calls and resets; adds them to the record of the connection. Those before CLOSE
//! start a record for a connection older than the agent; all others need one, or are
//! counted as loose.

use crate::classify::ResetCause;
use crate::event::{Body, ReplyTarget, ResetReason, SockId, State, Task, Timestamp};

use super::closed::ResetSource;
use super::{Output, Tracker};

impl Tracker {
    pub(super) fn close_called(&mut self, sock: SockId, at: Timestamp, task: Task, timeout: i64) {
        self.with(sock, |closed, steps| {
            closed.note_close(at, task, timeout, steps);
        });
    }

    pub(super) fn accepted(&mut self, sock: SockId, at: Timestamp, task: Task) {
        self.with(sock, |closed, steps| closed.note_accept(at, task, steps));
    }

    pub(super) fn forgotten(&mut self, sock: SockId, at: Timestamp, task: Task) {
        self.with(sock, |closed, steps| closed.note_forgotten(at, task, steps));
    }

    pub(super) fn reset_received(&mut self, sock: SockId, at: Timestamp, body: &Body) {
        let &Body::ResetReceived {
            segment_is_reset,
            state,
        } = body
        else {
            return;
        };
        self.start_if_live(sock, at, state);
        self.with(sock, |closed, steps| {
            closed.note_reset_received(at, segment_is_reset, steps);
        });
    }

    pub(super) fn disconnected(&mut self, sock: SockId, at: Timestamp, body: Body) {
        let Body::Disconnected {
            task,
            state,
            has_socket,
        } = body
        else {
            return;
        };
        self.start_if_live(sock, at, state);
        self.with(sock, |closed, steps| {
            closed.note_disconnect(at, task, has_socket, steps);
        });
    }

    pub(super) fn reset_sent(
        &mut self,
        sock: SockId,
        at: Timestamp,
        reason: Option<ResetReason>,
        state: Option<State>,
    ) {
        self.start_if_live(sock, at, state);
        let Some(slot) = self.table.sock(sock) else {
            return self.loose_reset(reason, ResetCause::Other);
        };
        self.with_slot(slot, |closed, steps| {
            closed.note_reset(at, ResetSource::Active, reason, steps);
        });
    }

    pub(super) fn reset_replied(
        &mut self,
        sock: SockId,
        at: Timestamp,
        reason: Option<ResetReason>,
        target: &ReplyTarget,
    ) {
        match target {
            ReplyTarget::Nobody => self.loose_reset(None, ResetCause::NoSocket),
            ReplyTarget::Handshake => self.loose_reset(None, ResetCause::Handshake),
            ReplyTarget::Socket { .. } => {
                let Some(slot) = self.table.sock(sock) else {
                    return self.loose_reset(reason, ResetCause::Other);
                };
                self.with_slot(slot, |closed, steps| {
                    closed.note_reset(at, ResetSource::Reply, reason, steps);
                });
                let record = self.table.record(slot);
                if record.is_some_and(|record| record.awaits_reply && record.facts.exit.is_some()) {
                    self.finalise(slot, None);
                }
            }
            ReplyTarget::Minisock { ends, netns } => {
                self.minisock_replied(sock, at, reason, ends.map(|ends| (*netns, ends)));
            }
        }
    }

    pub(super) fn loose_reset(&mut self, reason: Option<ResetReason>, otherwise: ResetCause) {
        let named = reason.and_then(|reason| ResetCause::from_reason(&reason.name));
        self.outputs
            .push_back(Output::LooseReset(named.unwrap_or(otherwise)));
    }

    pub(super) fn aborted(
        &mut self,
        sock: SockId,
        at: Timestamp,
        task: Task,
        state: Option<State>,
    ) {
        if state == Some(State::TimeWait) {
            return self.minisock_aborted(sock, at, task);
        }
        self.start_if_live(sock, at, state);
        self.with(sock, |closed, steps| closed.note_abort(at, task, steps));
    }
}
