//! How each event adds to what is known of a connection.
//!
//! Takes one event's parts; changes a [`Closed`]. Bounded: the timeline and the list of
//! resets stop growing and count instead.

use std::time::Duration;

use crate::classify::Phase;
use crate::event::{Ends, Release, ResetReason, Socket, State, Task, Timestamp};

use super::closed::{
    CloseCall, Closed, Disconnect, Exit, Fin, Gap, Origin, PeerFin, ResetFact, ResetSeen,
    ResetSource, Teardown,
};
use super::phases::Phases;
use super::settle::DOOMED;
use super::trail::{People, Trail, Word};
use super::{Sight, Who};

/// A state change, as its event tells it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) at: Timestamp,
    pub(super) old: State,
    pub(super) new: State,
    pub(super) task: Task,
    pub(super) ends: Option<Ends>,
    pub(super) netns: u32,
    pub(super) socket: &'a Socket,
}

impl Closed {
    pub(super) fn new(sight: Sight, origin: Origin, at: Timestamp, state: State) -> Self {
        Self {
            sight,
            origin,
            first_at: at,
            came_from: None,
            state,
            since: None,
            phases: Phases::none(),
            ends: None,
            netns: 0,
            cgroup: None,
            cookie: None,
            opened_by: None,
            opening: None,
            close_called: None,
            fin: None,
            orphaned_early: None,
            peer_fin: None,
            error_before: None,
            exit: None,
            teardown: Teardown::default(),
            reset_received: None,
            resets: Vec::new(),
            resets_sent: 0,
            resets_told: 0,
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
            peer_fin,
            error_before,
            exit,
            teardown,
            reset_received,
            resets,
            resets_sent,
            resets_told,
            minisock,
            trail,
            people,
        } = self;
        (*came_from, *since, *phases) = (None, None, Phases::none());
        (*ends, *netns, *cgroup, *cookie) = (None, 0, None, None);
        (*opened_by, *opening, *close_called) = (None, None, None);
        (*fin, *orphaned_early, *peer_fin) = (None, None, None);
        (*error_before, *exit, *reset_received) = (None, None, None);
        (teardown.disconnected, teardown.aborted, teardown.forgotten) = (None, None, None);
        (*resets_sent, *resets_told) = (0, 0);
        *minisock = None;
        resets.clear();
        trail.clear();
        people.clear();
        (self.sight, self.origin) = (sight, origin);
        (self.first_at, self.state) = (at, state);
        self.gap = (origin == Origin::Unseen).then_some(Gap::Birth);
    }

    pub(super) fn note_change(&mut self, change: &Change<'_>, steps: usize) {
        if self.teardown.disconnected.is_some() {
            self.judge_disconnect(change);
        }
        let &Change {
            at,
            old,
            new,
            task,
            ends,
            netns,
            socket,
        } = change;
        if self.state != old {
            self.note_gap(Gap::Sequence);
        }
        self.leave(old, at);
        self.came_from = Some(old);
        (self.state, self.since) = (new, Some(at));
        self.note_identity(ends, netns, socket);
        if matches!(old, State::FinWait1 | State::LastAck | State::Closing) && new != State::Closing
        {
            self.orphaned_early.get_or_insert(socket.dead);
        }
        let own_act = matches!(new, State::SynSent | State::FinWait1 | State::LastAck)
            || (new == State::Close && socket.release == Release::Yes);
        let by = own_act.then(|| self.people.add(task));
        let step = (at, word_for(old, new));
        self.trail.add(step, Some(new), by, steps);
        let write_seq = socket.sequences.write_seq;
        if new != State::Close {
            self.error_before = Some(socket.error);
        }
        match new {
            State::SynSent => self.opened_by = by,
            State::FinWait1 | State::LastAck => self.fin = by.map(|by| Fin::new(at, by, socket)),
            State::CloseWait | State::Closing => self.peer_fin = Some(PeerFin { at, write_seq }),
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

    fn note_identity(&mut self, ends: Option<Ends>, netns: u32, socket: &Socket) {
        let complete = |ends: Ends| ends.local.port() != 0 && ends.peer.port() != 0;
        if let Some(ends) = ends
            && (complete(ends) || !self.ends.is_some_and(complete))
        {
            self.ends = Some(ends);
        }
        if netns != 0 {
            self.netns = netns;
        }
        self.cgroup = socket.cgroup.or(self.cgroup);
        self.cookie = socket.cookie.or(self.cookie);
    }

    /// Ends the time in `state` at `at`.
    pub(super) fn leave(&mut self, state: State, at: Timestamp) {
        let Some(since) = self.since.filter(|_| self.state == state) else {
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
        self.teardown.disconnected = None;
        if self.close_called.is_none() {
            let by = self.note_act(at, Word::CloseCalled, task, steps);
            self.close_called = Some(CloseCall { at, by, timeout });
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
        self.teardown.disconnected = None;
        let event = if segment_is_reset == Some(false) {
            Word::DataAfterClose
        } else {
            Word::ResetReceived
        };
        self.note_event(at, event, steps);
        self.reset_received = Some(ResetSeen {
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
        let event = match source {
            ResetSource::Active => Word::ResetSent,
            ResetSource::Reply | ResetSource::Minisock => Word::ResetReplied,
        };
        self.note_event(at, event, steps);
        self.resets_sent = self.resets_sent.saturating_add(1);
        if self.resets.len() >= Self::MOST_RESETS
            && let Some(reply) = self.resets.iter().position(ResetFact::is_in_passing)
        {
            self.resets.remove(reply);
        }
        if self.resets.len() < Self::MOST_RESETS {
            let (after_exit, state) = (self.exit.is_some(), self.state);
            self.resets.push(ResetFact {
                at,
                source,
                after_exit,
                state,
                reason,
            });
        }
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
            self.teardown.disconnected = Some(Disconnect { at, by, has_socket });
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
        self.teardown.disconnected.take_if(|call| !did_it(call));
    }

    pub(super) fn note_abort(&mut self, at: Timestamp, task: Task, steps: usize) {
        self.teardown.aborted = Some(self.note_act(at, Word::Aborted, task, steps));
    }

    pub(super) fn note_forgotten(&mut self, at: Timestamp, task: Task, steps: usize) {
        self.teardown.forgotten = Some(self.note_act(at, Word::Forgotten, task, steps));
    }

    /// Keeps the first gap, but for a loss: after one, what was not seen proves nothing.
    pub(super) fn note_gap(&mut self, gap: Gap) {
        if self.gap.is_none() || gap == Gap::Loss {
            self.gap = Some(gap);
        }
    }

    /// Something that nobody did, and that changed no state of the full socket.
    pub(super) fn note_event(&mut self, at: Timestamp, event: Word, steps: usize) {
        self.trail.add((at, event), None, None, steps);
    }

    fn note_act(&mut self, at: Timestamp, event: Word, by: Task, steps: usize) -> Who {
        let by = self.people.add(by);
        self.trail.add((at, event), None, Some(by), steps);
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
            linger: socket.linger,
            write_seq: socket.sequences.write_seq,
        }
    }
}

fn word_for(old: State, new: State) -> Word {
    match new {
        State::SynSent => Word::SynSent,
        State::SynRecv => Word::SynReceived,
        State::Established => Word::Established,
        State::FinWait1 | State::LastAck => Word::FinSent,
        State::FinWait2 => Word::FinAcked,
        State::CloseWait | State::Closing => Word::PeerFin,
        State::Close if old == State::SynSent => Word::ConnectEnded,
        State::Close => Word::Closed,
        State::TimeWait => Word::TimeWait,
        State::Listen => Word::Listening,
        State::NewSynRecv => Word::Requested,
    }
}
