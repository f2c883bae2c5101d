//! How each event adds to what is known of a connection.
//!
//! Takes one event's parts; changes a [`Closed`]. Bounded: the timeline and the list of
//! resets stop growing and count instead.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::classify::Phase;
use crate::event::{Release, ResetReason, Socket, State, Task, Timestamp};

use super::Sight;
use super::closed::{CloseCall, Closed, Exit, Fin, Gap, Origin};
use super::compact::{Compact, MaybeAt, SightBits};
use super::force::{ByForce, Disconnect, ResetFact, ResetSeen, ResetSource};
use super::people::{People, Who};
use super::phases::Phases;
use super::settle::DOOMED;
use super::trail::{Trail, Word};

/// A state change, as its event tells it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) at: Timestamp,
    pub(super) old: State,
    pub(super) new: State,
    pub(super) task: Task,
    pub(super) ends: Compact,
    pub(super) netns: u32,
    pub(super) cgroup: Option<NonZeroU64>,
    pub(super) cookie: Option<NonZeroU64>,
    pub(super) socket: &'a Socket,
}

impl Closed {
    pub(super) fn new(sight: Sight, origin: Origin, at: Timestamp, state: State) -> Self {
        Self {
            sight: SightBits::of(sight),
            origin,
            first_at: at,
            came_from: None,
            state,
            since: MaybeAt::NONE,
            phases: Phases::default(),
            ends: Compact::default(),
            netns: 0,
            cgroup: None,
            cookie: None,
            opened_by: None,
            opening: None,
            close_called: None,
            fin: None,
            orphaned_early: None,
            written_by_peer_fin: None,
            error_before: None,
            exit: None,
            force: ByForce::default(),
            minisock: None,
            gap: (origin == Origin::Unseen).then_some(Gap::Birth),
            trail: Trail::default(),
            people: People::default(),
        }
    }

    /// Forgets everything of another connection, but keeps its memory. Field by field: most
    /// of it is not there, and is not written.
    pub(super) fn begin(&mut self, sight: Sight, origin: Origin, at: Timestamp, state: State) {
        let Self {
            sight: _,
            origin: _,
            first_at: _,
            state: _,
            gap: _,
            came_from,
            since,
            phases,
            ends,
            netns,
            cgroup,
            cookie,
            opened_by,
            opening,
            close_called,
            fin,
            orphaned_early,
            written_by_peer_fin,
            error_before,
            exit,
            force,
            minisock,
            trail,
            people,
        } = self;
        (*came_from, *since) = (None, MaybeAt::NONE);
        (*ends, *netns, *cgroup, *cookie) = (Compact::default(), 0, None, None);
        (*opened_by, *opening, *close_called) = (None, None, None);
        (*fin, *orphaned_early, *written_by_peer_fin) = (None, None, None);
        (*error_before, *exit, *minisock) = (None, None, None);
        phases.clear();
        force.clear();
        trail.clear();
        people.clear();
        (self.sight, self.origin) = (SightBits::of(sight), origin);
        (self.first_at, self.state) = (at, state);
        self.gap = (origin == Origin::Unseen).then_some(Gap::Birth);
    }

    pub(super) fn note_change(&mut self, change: &Change<'_>, steps: usize) {
        if self.teardown().disconnected.is_some() {
            self.judge_disconnect(change);
        }
        let &Change {
            at,
            old,
            new,
            task,
            socket,
            ..
        } = change;
        if self.state != old {
            // Where births are left out, so is how a connect that was told came to be established.
            let birth = (self.state, old) == (State::SynSent, State::Established);
            self.note_gap(if birth { Gap::Birth } else { Gap::Sequence });
        }
        self.leave(old, at);
        self.came_from = Some(old);
        (self.state, self.since) = (new, Some(at).into());
        self.note_identity(change);
        if matches!(old, State::FinWait1 | State::LastAck | State::Closing) && new != State::Closing
        {
            self.orphaned_early.get_or_insert(socket.dead);
        }
        let own_act = matches!(new, State::SynSent | State::FinWait1 | State::LastAck)
            || (new == State::Close && socket.release == Release::Yes);
        let by = own_act.then(|| self.people.add(task));
        self.note_step(at, word_for(old, new), by, steps);
        if new != State::Close {
            self.error_before = Some(socket.error);
        }
        match new {
            State::SynSent => self.opened_by = by,
            State::FinWait1 | State::LastAck => self.fin = by.map(|by| Fin::new(at, by, socket)),
            State::CloseWait | State::Closing => {
                self.written_by_peer_fin = Some(socket.sequences.write_seq);
            }
            State::Close => {
                self.exit = Some(Exit {
                    at,
                    from: old,
                    by: self.people.add_at_exit(task),
                    socket: *socket,
                });
            }
            State::Established
            | State::SynRecv
            | State::FinWait2
            | State::TimeWait
            | State::Listen
            | State::NewSynRecv => {}
        }
    }

    fn note_identity(&mut self, change: &Change<'_>) {
        self.ends.learn(change.ends);
        if change.netns != 0 {
            self.netns = change.netns;
        }
        self.cgroup = change.cgroup.or(self.cgroup);
        self.cookie = change.cookie.or(self.cookie);
    }

    /// Ends the time in `state` at `at`.
    pub(super) fn leave(&mut self, state: State, at: Timestamp) {
        let Some(since) = self.since().filter(|_| self.state == state) else {
            return;
        };
        let phase = match state {
            State::SynSent | State::SynRecv => Phase::Connecting,
            State::Established => Phase::Established,
            State::CloseWait => Phase::CloseWait,
            State::FinWait1 => Phase::FinWait1,
            State::FinWait2 => Phase::FinWait2,
            State::Closing => Phase::Closing,
            State::LastAck => Phase::LastAck,
            State::Close | State::TimeWait | State::Listen | State::NewSynRecv => return,
        };
        self.add_time(phase, at.since(since));
    }

    pub(super) fn add_time(&mut self, phase: Phase, time: Duration) {
        self.phases.add(phase, time);
    }

    pub(super) fn note_close(&mut self, at: Timestamp, task: Task, timeout: i64, steps: usize) {
        if self.exit.is_some() {
            return;
        }
        // close() finds a connection only where an earlier `tcp_disconnect` was refused.
        self.force.forget_disconnect();
        if self.close_called.is_none() {
            let by = self.note_act(at, Word::CloseCalled, task, steps);
            let may_block = timeout > 0;
            self.close_called = Some(CloseCall { at, by, may_block });
        }
    }

    pub(super) fn note_accept(&mut self, at: Timestamp, task: Task, steps: usize) {
        self.opened_by = Some(self.note_act(at, Word::Accepted, task, steps));
    }

    pub(super) fn note_reset_received(
        &mut self,
        at: Timestamp,
        segment_is_reset: Option<bool>,
        steps: usize,
    ) {
        // In CLOSE the kernel ignores a RST, but its tracepoint has fired already.
        if self.exit.is_some() {
            return;
        }
        self.force.forget_disconnect();
        // Another program that was shown it may not see the segment.
        let seen = self.force.get().reset_received;
        let segment_is_reset = segment_is_reset.or_else(|| seen.and_then(|it| it.segment_is_reset));
        let event = if segment_is_reset == Some(false) {
            Word::DataAfterClose
        } else {
            Word::ResetReceived
        };
        self.note_event(at, event, steps);
        self.force.add().reset_received = Some(ResetSeen {
            at,
            segment_is_reset,
        });
    }

    pub(super) fn note_reset(
        &mut self,
        at: Timestamp,
        source: ResetSource,
        reason: Option<ResetReason>,
        steps: usize,
    ) {
        if source == ResetSource::Active && self.force.get().has_just_reset(at) {
            return;
        }
        let event = match source {
            ResetSource::Active => Word::ResetSent,
            ResetSource::Reply | ResetSource::Minisock => Word::ResetReplied,
        };
        self.note_event(at, event, steps);
        self.force.add().add_reset(ResetFact {
            at,
            source,
            after_exit: self.exit.is_some(),
            state: self.state,
            reason,
        });
    }

    pub(super) fn note_disconnect(
        &mut self,
        at: Timestamp,
        task: Task,
        has_socket: bool,
        steps: usize,
    ) {
        if self.exit.is_none() {
            let by = self.note_act(at, Word::Disconnected, task, steps);
            let call = Disconnect { at, by, has_socket };
            self.force.add().teardown.disconnected = Some(call);
        }
    }

    /// Forgets a `tcp_disconnect` that the kernel refused, as older ones do while another
    /// thread waits for the socket (-EBUSY: 5.10, 5.15). One that it did not refuse goes to
    /// CLOSE in the same call, before anything else happens to the connection.
    fn judge_disconnect(&mut self, change: &Change<'_>) {
        let socket = change.socket;
        let inside_close =
            socket.release == Release::Yes && socket.send_shut && socket.receive_shut;
        // close() calls it for these alone.
        let throws_away = socket.linger == Some(0) || socket.repair;
        let people = &self.people;
        let did_it = |call: &Disconnect| {
            change.new == State::Close
                && people.task(call.by).pid == change.task.pid
                && change.at.since(call.at) < DOOMED
                && (!inside_close || throws_away)
        };
        if let Some(force) = self.force.change() {
            force.teardown.disconnected.take_if(|call| !did_it(call));
        }
    }

    pub(super) fn note_abort(&mut self, at: Timestamp, task: Task, steps: usize) {
        let by = self.note_act(at, Word::Aborted, task, steps);
        self.force.add().teardown.aborted = Some(by);
    }

    pub(super) fn note_forgotten(&mut self, at: Timestamp, task: Task, steps: usize) {
        let by = self.note_act(at, Word::Forgotten, task, steps);
        self.force.add().teardown.forgotten = Some(by);
    }

    /// Keeps the first gap, but for a loss: after one, what was not seen proves nothing. A birth
    /// that was not seen says the least.
    pub(super) fn note_gap(&mut self, gap: Gap) {
        if matches!(self.gap, None | Some(Gap::Birth)) || gap == Gap::Loss {
            self.gap = Some(gap);
        }
    }

    /// Something that nobody did, and that changed no state of the full socket.
    pub(super) fn note_event(&mut self, at: Timestamp, event: Word, steps: usize) {
        self.note_step(at, event, None, steps);
    }

    pub(super) fn note_step(&mut self, at: Timestamp, word: Word, by: Option<Who>, steps: usize) {
        self.trail.add(self.first_at, (at, word), by, steps);
    }

    fn note_act(&mut self, at: Timestamp, event: Word, by: Task, steps: usize) -> Who {
        let by = self.people.add(by);
        self.note_step(at, event, Some(by), steps);
        by
    }
}

impl Fin {
    fn new(at: Timestamp, by: Who, socket: &Socket) -> Self {
        Self {
            at,
            by,
            release: socket.release,
            receive_shut: socket.receive_shut,
            lingers: socket.linger.is_some_and(|jiffies| jiffies > 0),
            write_seq: socket.sequences.write_seq,
        }
    }
}

fn word_for(old: State, new: State) -> Word {
    match new {
        State::SynSent => Word::SynSent,
        State::SynRecv => Word::SynReceived,
        State::Established => Word::Established,
        State::FinWait1 => Word::FinSent,
        State::LastAck => Word::FinAnswered,
        State::FinWait2 => Word::FinAcked,
        State::CloseWait => Word::PeerFin,
        State::Closing => Word::FinsCrossed,
        State::Close if old == State::SynSent => Word::ConnectEnded,
        State::Close => Word::Closed,
        State::TimeWait => Word::TimeWait,
        State::Listen => Word::Listening,
        State::NewSynRecv => Word::Requested,
    }
}
