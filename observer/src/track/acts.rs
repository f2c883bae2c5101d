//! What was done to a connection beside its state changes.
//!
//! Takes calls and resets; adds them to the record of the connection. Those before CLOSE
//! start a record for a connection older than the agent; all others need one, or are
//! counted as loose.

use std::collections::VecDeque;

use crate::classify::ResetCause;
use crate::event::{Body, ReplyTarget, ResetReason, SockId, State, Task, Timestamp};

use super::closed::Closed;
use super::force::ResetSource;
use super::table::{Found, Slot};
use super::{Output, Tracker};

impl Closed {
    /// Tells the resets that were not told yet, as of this time.
    pub(super) fn tell_resets(&mut self, at: Timestamp, outputs: &mut VecDeque<Output>) {
        let netns = (self.netns != 0).then_some(self.netns);
        let Some(force) = self.force.change() else {
            return;
        };
        for _ in force.resets_told..force.resets_sent {
            outputs.push_back(Output::ResetSent { netns, at });
        }
        force.resets_told = force.resets_sent;
    }
}

impl Tracker {
    pub(super) fn close_called(&mut self, sock: SockId, at: Timestamp, task: Task, timeout: i64) {
        self.with(sock, |closed, steps| {
            closed.note_close(at, task, timeout, steps);
        });
    }

    pub(super) fn accepted(&mut self, sock: SockId, at: Timestamp, task: Task) {
        if let Some(Found::Open(open)) = self.table.find(sock)
            && self.table.opens.accept(open, at, task)
        {
            return;
        }
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

    pub(super) fn disconnected(&mut self, sock: SockId, at: Timestamp, body: &Body) {
        let &Body::Disconnected {
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
        let Some(slot) = self.slot(sock) else {
            return self.loose_reset(at, None, reason, ResetCause::Other);
        };
        self.with_slot(slot, |closed, steps| {
            closed.note_reset(at, ResetSource::Active, reason, steps);
        });
        self.tell_resets(slot, at);
    }

    /// Tells each reset of a record once. Where nothing has told the namespace yet, that waits
    /// for the end.
    pub(super) fn tell_resets(&mut self, slot: Slot, at: Timestamp) {
        let Some(record) = self.table.record(slot) else {
            return;
        };
        let facts = &mut record.facts;
        if facts.netns != 0 {
            facts.tell_resets(at, &mut self.outputs);
        }
    }

    pub(super) fn reset_replied(
        &mut self,
        sock: SockId,
        at: Timestamp,
        reason: Option<ResetReason>,
        target: &ReplyTarget,
    ) {
        match target {
            ReplyTarget::Nobody => self.loose_reset(at, None, None, ResetCause::NoSocket),
            ReplyTarget::Handshake { netns } => {
                self.loose_reset(at, Some(*netns), None, ResetCause::Handshake);
            }
            ReplyTarget::Socket { netns, .. } => {
                let Some(slot) = self.slot(sock) else {
                    return self.loose_reset(at, Some(*netns), reason, ResetCause::Other);
                };
                self.with_slot(slot, |closed, steps| {
                    closed.note_reset(at, ResetSource::Reply, reason, steps);
                });
                self.tell_resets(slot, at);
                let record = self.table.record(slot);
                if record.is_some_and(|record| record.awaits_reply && record.facts.exit.is_some()) {
                    self.finalise(slot, None);
                }
            }
            ReplyTarget::Minisock { ends, netns } => {
                self.minisock_replied(sock, at, reason, *ends, *netns);
            }
        }
    }

    pub(super) fn loose_reset(
        &mut self,
        at: Timestamp,
        netns: Option<u32>,
        reason: Option<ResetReason>,
        otherwise: ResetCause,
    ) {
        let named = reason.and_then(|reason| ResetCause::from_reason(&reason.name));
        self.outputs.push_back(Output::LooseReset {
            cause: named.unwrap_or(otherwise),
            netns: netns.filter(|netns| *netns != 0),
            at,
        });
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
