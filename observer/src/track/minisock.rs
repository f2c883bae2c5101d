//! What minisocks tell: the last part of a connection whose full socket is gone.
//!
//! Takes the four events of minisocks; changes the record that handed over, or leaves the
//! end of a TIME_WAIT to [`TimeWaits`](super::time_wait::TimeWaits). A connection that
//! reached TIME_WAIT costs no memory here.

use std::time::Duration;

use crate::classify::Phase;
use crate::event::{Body, Ends, ResetReason, SockId, State, Substate, Task, Timestamp, TwStatus};

use super::closed::{Closed, Fate, Gap, Minisock};
use super::compact::Compact;
use super::due::Wait;
use super::force::ResetSource;
use super::table::{Found, Slot};
use super::trail::Word;
use super::{AFTER_EXIT, Output, ResetCause, Tracker};

/// The longest that a FIN_WAIT2 minisock can live, 3.5 × TCP_RTO_MAX, and 5 s.
pub(super) const LONGEST_FIN_WAIT2: Duration = Duration::from_secs(425);

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
            closed.minisock = Some(Minisock::new(at, substate, true));
            let event = match substate {
                Substate::FinWait2 => Word::MinisockStarted,
                Substate::TimeWait => Word::MinisockMoved,
            };
            closed.note_event(at, event, steps);
        });
        // The pointer of a minisock whose end was missed means another one from here on.
        if let Some(older) = self.table.minisock(minisock).filter(|older| *older != slot) {
            self.finalise_overdue(older);
        }
        match substate {
            // CLOSE follows in the same call, which may be kept off the CPU in between.
            Substate::TimeWait => self.table.set_deadline(slot, at, Wait::Doomed),
            Substate::FinWait2 => {
                self.table.name_minisock(slot, minisock);
                self.table.set_deadline(slot, at, Wait::FinWait2);
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
        match answer {
            Some(TwStatus::Ack) if substate == Substate::TimeWait => {
                self.decide(slot, Fate::TimeWait, at, Word::MinisockGotFin);
                self.decided(slot, at);
            }
            // Only a minisock that was in TIME_WAIT before gives this answer there.
            Some(TwStatus::Syn) | None if substate == Substate::TimeWait => {
                self.moved_unseen(slot, at, Word::MinisockMoved);
            }
            Some(TwStatus::Reset) => {
                self.decide(slot, Fate::Answered, at, Word::DataAfterClose);
                self.note_minisock_reset(slot, at, None);
                self.table.set_deadline(slot, at, Wait::AfterExit);
            }
            // A RST that is believed takes the minisock away before this is told, and its
            // memory may be another minisock's by then, so that its substate means nothing. A
            // RST out of window, or one too many of them, changes nothing.
            Some(TwStatus::Success) if segment_is_reset != Some(false) && self.has_ended(slot) => {
                self.decide(slot, Fate::PeerReset, at, Word::ResetReceived);
                self.decided(slot, at);
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
        ends: Option<Ends>,
        netns: u32,
    ) {
        let by_ends = |ends| self.table.ends(netns, Compact::of(Some(ends)));
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
                    self.decide(slot, Fate::Answered, at, Word::DataAfterClose);
                    self.decided(slot, at);
                }
            }
            None => self.loose_reset(at, Some(netns), reason, ResetCause::DataAfterClose),
        }
    }

    /// `tcp_abort` takes a minisock away within the call, or refuses it (before 6.1).
    pub(super) fn minisock_aborted(&mut self, minisock: SockId, at: Timestamp, task: Task) {
        match self.table.minisock(minisock) {
            Some(slot) => {
                self.with_slot(slot, |closed, _| {
                    let by = closed.people.add(task);
                    let force = closed.force.add();
                    (force.minisock_aborted, force.teardown.aborted) = (Some(at), Some(by));
                });
            }
            None => self.time_waits.aborted(minisock, at),
        }
    }

    pub(super) fn minisock_ended(&mut self, minisock: SockId, at: Timestamp, body: &Body) {
        let Body::MinisockEnded {
            substate,
            expired,
            netns,
            task,
        } = body
        else {
            return;
        };
        let (substate, expired) = (*substate, *expired);
        if substate == Substate::TimeWait {
            let end = self.time_waits.ended(minisock, at, *netns, expired, task);
            self.outputs.extend(end.map(Output::TimeWaitEnded));
        }
        let Some(slot) = self.table.minisock(minisock) else {
            if substate == Substate::FinWait2 && expired == Some(true) {
                let netns = *netns;
                self.outputs.push_back(Output::UnknownExpired { netns, at });
            }
            return;
        };
        if substate == Substate::TimeWait {
            return self.moved_unseen(slot, at, Word::MinisockEnded);
        }
        let Some(record) = self.table.record(slot) else {
            return;
        };
        record.minisock_gone = true;
        let aborted = record.facts.force.get().minisock_aborted;
        let aborted = aborted.is_some_and(|aborted| at.since(aborted) < AFTER_EXIT);
        match (record.facts.fate(), expired) {
            (Some(_), _) => self.decided(slot, at),
            (None, Some(true)) => {
                self.decide(slot, Fate::Expired, at, Word::FinWait2Expired);
                self.decided(slot, at);
            }
            (None, Some(false) | None) if aborted => {
                self.decide(slot, Fate::Aborted, at, Word::Aborted);
                self.decided(slot, at);
            }
            (None, Some(false) | None) => {
                // The RST that killed it is told after its end.
                let before_time = expired == Some(false) || task.comm.is_kworker();
                self.decide(slot, Fate::Gone { before_time }, at, Word::MinisockEnded);
                self.table.set_deadline(slot, at, Wait::AfterExit);
            }
        }
    }

    /// Nothing more is to come of a minisock. A segment may find it on one CPU while the call
    /// that made it is kept off another: the full socket's CLOSE follows then.
    fn decided(&mut self, slot: Slot, at: Timestamp) {
        let record = self.table.record(slot);
        if record.is_some_and(|record| record.facts.exit.is_none()) {
            self.table.set_deadline(slot, at, Wait::Doomed);
        } else {
            self.finalise(slot, None);
        }
    }

    /// A minisock shows that it had moved on to TIME_WAIT: when, nobody saw. The last that is
    /// known is when it took over.
    fn moved_unseen(&mut self, slot: Slot, at: Timestamp, event: Word) {
        let mut gap = None;
        self.with_slot(slot, |closed, steps| {
            let undecided = closed.minisock.as_mut().filter(|it| it.fate().is_none());
            if let Some(minisock) = undecided {
                minisock.decide(Fate::TimeWait, minisock.at);
                gap = Some(Gap::Sequence);
                closed.note_event(at, event, steps);
            }
        });
        self.finalise(slot, gap);
    }

    /// A connection is established between ends that an unseen minisock held: the peer's FIN
    /// had come, since only TIME_WAIT lets go of its ends.
    pub(super) fn ends_taken(&mut self, by: Found) {
        if !self.table.knows_ends() {
            return;
        }
        let (netns, ends) = match by {
            Found::Open(at) => self.table.opens.place(at),
            Found::Record(slot) => {
                let record = self.table.record(slot);
                record.map(|it| (it.facts.netns, it.facts.ends))
            }
        }
        .unwrap_or_default();
        let older = self.table.ends(netns, ends);
        if let Some(older) = older.filter(|older| Found::Record(*older) != by) {
            self.finalise(older, None);
        }
    }

    fn note_minisock_reset(&mut self, slot: Slot, at: Timestamp, reason: Option<ResetReason>) {
        self.with_slot(slot, |closed, steps| {
            let mut resets = closed
                .force
                .change()
                .into_iter()
                .flat_map(|it| &mut it.resets);
            match resets.find(|reset| reset.source == ResetSource::Minisock) {
                Some(told) => told.reason = reason.or_else(|| told.reason.take()),
                None => closed.note_reset(at, ResetSource::Minisock, reason, steps),
            }
        });
        self.tell_resets(slot, at);
    }

    /// Writes down what became of a minisock, once; `Gone` gives way to what explains it.
    fn decide(&mut self, slot: Slot, fate: Fate, at: Timestamp, event: Word) {
        self.with_slot(slot, |closed, steps| {
            let minisock = closed.minisock.get_or_insert_with(|| {
                let since = closed.exit.as_ref().map_or(at, |exit| exit.at);
                Minisock::new(since, Substate::FinWait2, false)
            });
            let started = minisock.at;
            match minisock.fate() {
                None => {
                    minisock.decide(fate, at);
                    closed.add_time(Phase::FinWait2, at.since(started));
                }
                Some((Fate::Gone { .. }, gone)) => minisock.decide(fate, gone),
                Some(_) => return,
            }
            closed.note_event(at, event, steps);
        });
    }
}

/// Where minisocks cannot be seen: whether one took over, because nothing else ends so.
pub(super) fn must_have_started(closed: &Closed) -> bool {
    let Some(socket) = closed.last_socket().filter(|_| !closed.sight().minisocks) else {
        return false;
    };
    // A minisock takes the socket's place in the hash table first; one that was seen is told.
    if socket.hashed == Some(true) || closed.minisock.is_some_and(|it| it.seen_starting) {
        return false;
    }
    let waits = match closed.exit_from() {
        Some(State::FinWait2) => socket.done || (socket.dead && socket.linger2 >= 0),
        Some(State::Closing) => socket.sequences.snd_una == socket.sequences.write_seq,
        _ => false,
    };
    let mut resets = closed.resets().iter();
    waits && closed.handover_due() && resets.all(|reset| reset.source == ResetSource::Minisock)
}
