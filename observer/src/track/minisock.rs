//! What minisocks tell: the last part of a connection whose full socket is gone.
//!
//! Takes the four events of minisocks; changes the record that handed over, or leaves the
//! end of a TIME_WAIT to [`TimeWaits`](super::time_wait::TimeWaits). A connection that
//! reached TIME_WAIT costs no memory here.

use std::time::Duration;

use crate::classify::Phase;
use crate::event::{Body, Ends, ResetReason, SockId, State, Substate, Task, Timestamp, TwStatus};

use super::closed::{Fate, Gap, Minisock, ResetSource};
use super::table::Slot;
use super::{AFTER_EXIT, Output, ResetCause, Step, Tracker};

/// The longest that a FIN_WAIT2 minisock can live, 3.5 × TCP_RTO_MAX, and 5 s.
const LONGEST_FIN_WAIT2: Duration = Duration::from_secs(425);

impl Tracker {
    pub(super) fn minisock_started(
        &mut self,
        sock: SockId,
        at: Timestamp,
        minisock: SockId,
        substate: Substate,
    ) {
        let slot = self.live_slot(sock, at, State::FinWait2);
        self.with_slot(slot, |closed, steps| {
            let fate = (substate == Substate::TimeWait).then_some((Fate::TimeWait, at));
            closed.minisock = Some(Minisock { at, substate, fate });
            let event = match substate {
                Substate::FinWait2 => "minisock_started",
                Substate::TimeWait => "time_wait",
            };
            closed.note_step(
                Step {
                    at,
                    event,
                    state: None,
                    by: None,
                },
                steps,
            );
        });
        match substate {
            Substate::TimeWait => self.table.set_deadline(slot, at.after(AFTER_EXIT)),
            Substate::FinWait2 => {
                if let Some(older) = self.table.minisock(minisock).filter(|older| *older != slot) {
                    self.finalise(older, Some(Gap::End));
                }
                self.table.name_minisock(slot, minisock);
                self.table.set_deadline(slot, at.after(LONGEST_FIN_WAIT2));
            }
        }
    }

    pub(super) fn minisock_answered(&mut self, minisock: SockId, at: Timestamp, body: &Body) {
        let &Body::MinisockAnswered {
            answer,
            substate,
            segment_is_reset,
        } = body
        else {
            return;
        };
        let Some(slot) = self.table.minisock(minisock) else {
            let end = self
                .time_waits
                .answered(minisock, at, answer, segment_is_reset);
            self.outputs.extend(end.map(Output::TimeWaitEnded));
            return;
        };
        if substate == Substate::TimeWait {
            self.decide(slot, Fate::TimeWait, at, "peer_fin");
            return self.finalise(slot, None);
        }
        match answer {
            Some(TwStatus::Reset) => {
                self.decide(slot, Fate::Answered, at, "data_after_close");
                self.note_minisock_reset(slot, at, None);
                self.table.set_deadline(slot, at.after(AFTER_EXIT));
            }
            // A RST that is believed takes the minisock away before this is told; one out of
            // window, or one too many of them, changes nothing.
            Some(TwStatus::Success) if segment_is_reset != Some(false) && self.has_ended(slot) => {
                self.decide(slot, Fate::PeerReset, at, "reset_received");
                self.finalise(slot, None);
            }
            Some(TwStatus::Success | TwStatus::Ack | TwStatus::Syn) | None => {}
        }
    }

    fn has_ended(&mut self, slot: Slot) -> bool {
        self.table
            .record(slot)
            .is_some_and(|record| record.minisock_gone)
    }

    pub(super) fn minisock_replied(
        &mut self,
        minisock: SockId,
        at: Timestamp,
        reason: Option<ResetReason>,
        ends: Option<(u32, Ends)>,
    ) {
        let by_ends = |(netns, ends)| self.table.ends(netns, ends);
        match self
            .table
            .minisock(minisock)
            .or_else(|| ends.and_then(by_ends))
        {
            Some(slot) => {
                let seen = self
                    .table
                    .record(slot)
                    .and_then(|record| record.facts.fate());
                self.note_minisock_reset(slot, at, reason);
                if seen.is_none() {
                    self.decide(slot, Fate::Answered, at, "data_after_close");
                    self.finalise(slot, None);
                }
            }
            None => self.loose_reset(reason, ResetCause::DataAfterClose),
        }
    }

    /// `tcp_abort` takes a minisock away within the call, or refuses it (before 6.1).
    pub(super) fn minisock_aborted(&mut self, minisock: SockId, at: Timestamp, task: Task) {
        match self.table.minisock(minisock) {
            Some(slot) => {
                if let Some(record) = self.table.record(slot) {
                    record.aborted_at = Some(at);
                }
                self.with_slot(slot, |closed, _| closed.teardown.aborted = Some(task));
            }
            None => self.time_waits.aborted(minisock, at),
        }
    }

    pub(super) fn minisock_ended(&mut self, minisock: SockId, at: Timestamp, body: &Body) {
        let Body::MinisockEnded {
            substate,
            expired,
            task,
        } = body
        else {
            return;
        };
        let (substate, expired) = (*substate, *expired);
        if substate == Substate::TimeWait {
            let end = self.time_waits.ended(minisock, at, expired, task);
            self.outputs.extend(end.map(Output::TimeWaitEnded));
        }
        let Some(slot) = self.table.minisock(minisock) else {
            return;
        };
        if substate == Substate::TimeWait {
            self.decide(slot, Fate::TimeWait, at, "time_wait");
            return self.finalise(slot, None);
        }
        let Some(record) = self.table.record(slot) else {
            return;
        };
        record.minisock_gone = true;
        let aborted = record
            .aborted_at
            .is_some_and(|aborted| at.since(aborted) < AFTER_EXIT);
        match (record.facts.fate(), expired) {
            (Some(_), _) => self.finalise(slot, None),
            (None, Some(true)) => {
                self.decide(slot, Fate::Expired, at, "fin_wait2_expired");
                self.finalise(slot, None);
            }
            (None, Some(false) | None) if aborted => {
                self.decide(slot, Fate::Aborted, at, "aborted");
                self.finalise(slot, None);
            }
            (None, Some(false) | None) => {
                // The RST that killed it is told after its end.
                let before_time = expired == Some(false) || task.comm.starts_with("kworker");
                self.decide(slot, Fate::Gone { before_time }, at, "minisock_ended");
                self.table.set_deadline(slot, at.after(AFTER_EXIT));
            }
        }
    }

    fn note_minisock_reset(&mut self, slot: Slot, at: Timestamp, reason: Option<ResetReason>) {
        self.with_slot(slot, |closed, steps| {
            let mut resets = closed.resets.iter_mut();
            match resets.find(|reset| reset.source == ResetSource::Minisock) {
                Some(told) => told.reason = reason.or_else(|| told.reason.take()),
                None => closed.note_reset(at, ResetSource::Minisock, reason, steps),
            }
        });
    }

    /// Writes down what became of a minisock, once; `Gone` gives way to what explains it.
    fn decide(&mut self, slot: Slot, fate: Fate, at: Timestamp, event: &'static str) {
        self.with_slot(slot, |closed, steps| {
            let minisock = closed.minisock.get_or_insert_with(|| Minisock {
                at: closed.exit.as_ref().map_or(at, |exit| exit.at),
                substate: Substate::FinWait2,
                fate: None,
            });
            if minisock
                .fate
                .is_some_and(|(fate, _)| !matches!(fate, Fate::Gone { .. }))
            {
                return;
            }
            let first = minisock.fate.is_none();
            let (started, decided) = (minisock.at, minisock.fate.map_or(at, |(_, gone)| gone));
            minisock.fate = Some((fate, decided));
            if first {
                closed.add_time(Phase::FinWait2, decided.since(started));
            }
            closed.note_step(
                Step {
                    at,
                    event,
                    state: None,
                    by: None,
                },
                steps,
            );
        });
    }
}
