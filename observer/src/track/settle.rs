//! When a record starts, when its verdict can no longer change, and how it leaves.
//!
//! Takes state changes and the end of sockets; gives [`Output::Closed`]. What it decides
//! about time is written down once, in [`Tracker::settle`].

use std::time::Duration;

use crate::event::{Body, Release, SockId, State, Substate, Timestamp};

use super::closed::{Closed, Fate, Gap, Origin};
use super::compact::Compact;
use super::due::Wait;
use super::facts::Change;
use super::force::Teardown;
use super::minisock::must_have_started;
use super::opens::OpenSlot;
use super::table::{Found, Slot};
use super::{Output, RECENT, REPEATED_WITHIN, Tracker};

/// How long a socket that nobody holds is given to be destroyed: the task that closes it sends
/// its reset first, and may be kept off the CPU in between.
pub(super) const DOOMED: Duration = Duration::from_secs(5);

/// How long a FIN_WAIT2 minisock that cannot be seen is given to answer data with a reset.
pub(super) const UNSEEN_MINISOCK: Duration = Duration::from_secs(1);

/// What is to become of a record whose socket went to CLOSE.
enum Outlook {
    /// Nothing can change its verdict.
    Final,
    /// Its socket may still send a reset until it is destroyed.
    UntilDestroyed,
    /// A segment may still be answered with a reset after it is destroyed.
    UntilReplied,
    /// A minisock that cannot be seen may still answer a segment.
    UntilMinisockReplied,
    /// Its minisock decides.
    WithMinisock,
}

impl Tracker {
    pub(super) fn state_changed(&mut self, sock: SockId, at: Timestamp, body: &Body) {
        let &Body::StateChanged {
            old,
            new,
            task,
            ends,
            netns,
            cgroup,
            cookie,
            ref socket,
        } = body
        else {
            return;
        };
        let change = Change {
            at,
            old,
            new,
            task,
            ends: Compact::of(ends),
            netns,
            cgroup,
            cookie,
            socket,
        };
        let known = match self.table.find(sock) {
            Some(Found::Open(at)) if self.established(at, &change) => return,
            Some(Found::Open(at)) if self.table.opens.shut(at, &change) => return,
            Some(Found::Open(at)) => self.promote(at),
            Some(Found::Record(slot)) => Some(slot),
            None => None,
        };
        let slot = match known {
            Some(slot) if self.repeats(slot, &change) => return,
            Some(slot) if !self.is_birth(slot, &change) => slot,
            _ => match self.born(sock, known, &change) {
                Some(slot) => slot,
                None => return,
            },
        };
        self.with_slot(slot, |closed, steps| closed.note_change(&change, steps));
        if change.new == State::Close {
            self.settle(slot);
        } else if change.new == State::Established {
            self.ends_taken(Found::Record(slot));
        }
    }

    /// An open connection comes from SYN_SENT to ESTABLISHED; false if that is not the change.
    fn established(&mut self, at: OpenSlot, change: &Change<'_>) -> bool {
        let took = self.table.opens.establish(at, change);
        if took {
            self.ends_taken(Found::Open(at));
        }
        took
    }

    /// The record of a connection that begins, where one is needed.
    fn born(&mut self, sock: SockId, older: Option<Slot>, change: &Change<'_>) -> Option<Slot> {
        if let Some(older) = older {
            self.overtake(older);
        }
        let Some(origin) = origin_of(change) else {
            self.stillborn(sock, change);
            return None;
        };
        if older.is_none() && self.is_told_again(sock, origin, change) {
            return None;
        }
        let Some(open) = self.table.opens.begin(sock, change) else {
            return Some(self.start(sock, origin, change.at, change.old));
        };
        let at = self.start_open(open);
        if change.new == State::Established {
            self.ends_taken(Found::Open(at));
        }
        None
    }

    /// The same change told twice.
    fn repeats(&mut self, slot: Slot, change: &Change<'_>) -> bool {
        self.table.record(slot).is_some_and(|record| {
            let facts = &record.facts;
            let same_change = (facts.came_from, facts.state) == (Some(change.old), change.new)
                && facts
                    .since()
                    .is_some_and(|since| change.at.since(since) < REPEATED_WITHIN)
                && (!change.ends.is_known() || !facts.ends.is_known() || change.ends == facts.ends);
            same_change || (facts.born_at() == Some(change.at) && change.is_first())
        })
    }

    /// The last change of a connection that is final already, told a second time.
    fn is_told_again(&self, sock: SockId, origin: Origin, change: &Change<'_>) -> bool {
        let told = |(recent, ends, at): &(SockId, Compact, Timestamp)| {
            let same_ends = !ends.is_known() || !change.ends.is_known() || *ends == change.ends;
            *recent == sock && same_ends && change.at.since(*at) < REPEATED_WITHIN
        };
        origin == Origin::Unseen && change.new == State::Close && self.recent.iter().any(told)
    }

    /// The one change of a child that nobody saw. It may be told a second time, but not once
    /// the kernel has let go of the socket.
    fn stillborn(&mut self, sock: SockId, change: &Change<'_>) {
        let (netns, at) = (change.netns, change.at);
        self.stillborn
            .retain(|(_, told)| at.since(*told) < REPEATED_WITHIN);
        if self.stillborn.iter().all(|(told, _)| *told != sock) {
            self.stillborn.truncate(RECENT - 1);
            self.stillborn.push_front((sock, at));
            self.outputs.push_back(Output::Stillborn { netns, at });
        }
    }

    /// A change that only a new connection makes.
    fn is_birth(&mut self, slot: Slot, change: &Change<'_>) -> bool {
        let Some(record) = self.table.record(slot) else {
            return true;
        };
        // Its birth may be one of those that are left out.
        let before = record.facts.ends;
        // Until the kernel chooses a port, that of another connect before may stand there.
        let other_ends = if record.facts.state == State::SynSent {
            change.ends.differ_in_peer(before)
        } else {
            change.ends.differ(before)
        };
        change.new == State::SynSent
            || other_ends
            || record.facts.exit.is_some()
            || (change.old == State::SynRecv && record.facts.state != State::SynRecv)
    }

    /// The pointer of this record means another connection from here on.
    pub(super) fn overtake(&mut self, slot: Slot) {
        let Some(record) = self.table.record(slot) else {
            return;
        };
        let outlives_socket = record.facts.minisock.is_some() || record.held_by_ends();
        if outlives_socket && record.facts.exit.is_some() {
            self.table.forget_sock(slot);
        } else {
            let gap = record.facts.exit.is_none().then_some(Gap::End);
            self.finalise(slot, gap);
        }
    }

    fn settle(&mut self, slot: Slot) {
        let Some(record) = self.table.record(slot) else {
            return;
        };
        let Some(at) = record.facts.exit.as_ref().map(|exit| exit.at) else {
            return;
        };
        if record.facts.minisock.is_some() {
            let netns = record.facts.netns;
            self.outputs
                .push_back(Output::MinisockStarted { netns, at });
        }
        match outlook(&record.facts) {
            Outlook::Final => self.finalise(slot, None),
            Outlook::UntilDestroyed => {
                let socket = &record.facts.exit.as_ref().map(|exit| &exit.socket);
                let doomed = socket.is_some_and(|it| it.dead || it.release == Release::Yes);
                let wait = if doomed {
                    Wait::Doomed
                } else {
                    Wait::AfterExit
                };
                self.table.set_deadline(slot, at, wait);
            }
            Outlook::UntilReplied => {
                record.awaits_reply = true;
                self.table.set_deadline(slot, at, Wait::AfterExit);
            }
            Outlook::UntilMinisockReplied => {
                record.awaits_reply = true;
                self.table.set_deadline(slot, at, Wait::UnseenMinisock);
                self.table.name_ends(slot);
            }
            Outlook::WithMinisock => {}
        }
    }

    pub(super) fn destroyed(&mut self, sock: SockId) {
        self.let_go(sock);
        // What comes of this pointer from here on is another connection.
        self.recent.retain(|(recent, ..)| *recent != sock);
    }

    fn let_go(&mut self, sock: SockId) {
        let Some(slot) = self.slot(sock) else {
            return self.stillborn.retain(|(told, _)| *told != sock);
        };
        let Some(record) = self.table.record(slot) else {
            return;
        };
        let with_minisock = record.facts.minisock.is_some();
        match (record.facts.exit.is_some(), record.awaits_reply) {
            (true, true) => {}
            (true, false) if with_minisock => self.table.forget_sock(slot),
            (true, false) => self.finalise(slot, None),
            (false, _) if with_minisock => {
                record.facts.note_gap(Gap::Sequence);
                self.table.forget_sock(slot);
            }
            (false, _) => self.finalise(slot, Some(Gap::End)),
        }
    }

    /// What a record waited for did not come. A minisock always ends: its end was missed.
    pub(super) fn finalise_overdue(&mut self, slot: Slot) {
        let Some(record) = self.table.record(slot) else {
            return;
        };
        let facts = &record.facts;
        let missed = if facts.minisock.is_some() && facts.fate().is_none() {
            Some(Gap::End)
        } else {
            facts.exit.is_none().then_some(Gap::Sequence)
        };
        self.finalise(slot, missed);
    }

    /// Says of a connection that it may have missed an event, if one was lost while it was open.
    pub fn note_loss(&self, closed: &mut Closed) {
        if self.last_loss.is_some_and(|loss| loss >= closed.first_at) {
            closed.note_gap(Gap::Loss);
        }
    }

    /// Takes a record out and says what is known of it.
    pub(super) fn finalise(&mut self, slot: Slot, gap: Option<Gap>) {
        let sock = self.table.record(slot).and_then(|record| record.sock());
        let Some(mut closed) = self.table.remove(slot) else {
            return;
        };
        if let (Some(sock), Some(exit)) = (sock, &closed.exit) {
            self.recent.truncate(RECENT - 1);
            self.recent.push_front((sock, closed.ends, exit.at));
        }
        self.note_loss(&mut closed);
        if let Some(gap) = gap {
            closed.note_gap(gap);
        }
        let ended = closed.exit.as_ref().map_or(closed.first_at, |exit| exit.at);
        closed.tell_resets(ended, &mut self.outputs);
        if let Some(exit) = closed.exit.as_ref().filter(|_| must_have_started(&closed)) {
            let (netns, at) = (closed.netns, exit.at);
            self.outputs
                .push_back(Output::MinisockStarted { netns, at });
        }
        // Without a state change nothing says that there was a connection to end.
        let was_one = closed.since().is_some() || closed.minisock.is_some();
        if was_one && !lost_a_race(&closed) {
            self.outputs.push_back(Output::Closed(closed));
        } else {
            self.reuse(closed);
        }
    }
}

impl Change<'_> {
    /// A change that only begins a connection, or repeats its beginning.
    fn is_first(&self) -> bool {
        self.new == State::SynSent || self.old == State::SynRecv
    }
}

/// How a connection begins that no record knows; `None`: it is not one.
fn origin_of(change: &Change<'_>) -> Option<Origin> {
    // A child that could not be made (SYN_RECV, dead at once): nobody ever saw it.
    let stillborn = change.old == State::SynRecv
        && change.new == State::Close
        && change.socket.dead
        && change.socket.error == 0;
    if stillborn {
        return None;
    }
    Some(match (change.old, change.new) {
        (_, State::SynSent) => Origin::Connected,
        (State::SynRecv, _) => Origin::Accepted,
        _ => Origin::Unseen,
    })
}

/// Two CPUs made a child of the same request, and this one was thrown away: the tracepoint
/// shows it, no counter does (`inet_ehash_nolisten`, 5.10 to 7.2).
fn lost_a_race(closed: &Closed) -> bool {
    closed.exit.as_ref().is_some_and(|exit| {
        let socket = &exit.socket;
        let untouched = !socket.has_socket && !socket.dead && socket.error == 0;
        exit.from == State::SynRecv
            && exit.at == closed.first_at
            && untouched
            && closed.resets().is_empty()
            && *closed.teardown() == Teardown::default()
    })
}

fn outlook(closed: &Closed) -> Outlook {
    if let Some(minisock) = closed.minisock {
        return match (minisock.substate, closed.fate()) {
            (Substate::TimeWait, _)
            | (_, Some(Fate::TimeWait | Fate::PeerReset | Fate::Aborted | Fate::Expired)) => {
                Outlook::Final
            }
            // What explains these may still be told.
            (Substate::FinWait2, Some(Fate::Answered | Fate::Gone { .. }) | None) => {
                Outlook::WithMinisock
            }
        };
    }
    if closed.reset_is_ambiguous() {
        return Outlook::UntilReplied;
    }
    let Some(socket) = closed.last_socket() else {
        return Outlook::UntilDestroyed;
    };
    if !closed.handover_due() || !closed.resets().is_empty() {
        return Outlook::UntilDestroyed;
    }
    if socket.hashed == Some(true) {
        return Outlook::UntilReplied;
    }
    let fin_acked = socket.sequences.snd_una == socket.sequences.write_seq;
    match closed.exit_from() {
        Some(State::FinWait2) if socket.done => Outlook::Final,
        Some(State::FinWait2) if socket.dead && socket.linger2 >= 0 => {
            Outlook::UntilMinisockReplied
        }
        Some(State::Closing) if fin_acked => Outlook::Final,
        Some(State::FinWait2) if socket.dead => Outlook::UntilReplied,
        _ => Outlook::UntilDestroyed,
    }
}
