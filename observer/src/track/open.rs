//! A connection that this host has not begun to close, and of which nothing else is to be said yet.
//!
//! There may be a million of them, so this holds what they have in common and no more (who opened
//! them is kept once for all that are alike): that the peer closed, too, as what leaks in CLOSE_WAIT may be very many. What begins to close here, or
//! does anything else, goes on as a [`Closed`] that says the same.

use std::num::NonZeroU64;

use crate::classify::Phase;
use crate::event::{SockId, State, Task, Timestamp};

use super::Sight;
use super::closed::{Closed, Origin};
use super::compact::Compact;
use super::facts::Change;
use super::owners::{Owner, OwnerId, Owners};
use super::stacks::Opening;
use super::standing::{Stage, Standing};
use super::trail::Word;

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// In SYN_SENT.
    Connecting,
    /// From SYN_SENT to ESTABLISHED.
    Connected,
    /// From SYN_RECV to ESTABLISHED.
    Answered,
    /// And accepted by a process.
    Accepted,
}

/// One open connection end.
#[derive(Debug)]
pub(super) struct Open {
    sock: SockId,
    first_at: Timestamp,
    /// When it was established as a client, or accepted as a server.
    later: Timestamp,
    /// When the peer's FIN came, if it is shut.
    fin_at: Timestamp,
    cookie: Option<NonZeroU64>,
    opening: Option<Box<Opening>>,
    ends: Compact,
    /// Must be given back.
    owner: OwnerId,
    /// The end of what the application had written by the peer's FIN.
    write_seq: u32,
    error: u16,
    progress: Progress,
    /// The peer's FIN came.
    shut: bool,
}

impl Open {
    /// What begins with this change; `None` if more is to be said of it.
    pub(super) fn begin(sock: SockId, change: &Change<'_>, owners: &mut Owners) -> Option<Self> {
        let progress = match (change.old, change.new) {
            (State::Close, State::SynSent) => Progress::Connecting,
            (State::SynRecv, State::Established) => Progress::Answered,
            _ => return None,
        };
        let connects = progress == Progress::Connecting;
        let owner = Owner {
            opener: connects.then_some(change.task),
            cgroup: change.cgroup,
            netns: change.netns,
        };
        Some(Self {
            sock,
            first_at: change.at,
            later: change.at,
            fin_at: change.at,
            cookie: change.cookie,
            opening: None,
            ends: change.ends,
            owner: owners.take(owner),
            write_seq: 0,
            error: change.socket.error,
            progress,
            shut: false,
        })
    }

    /// What is to be given back when it is no more.
    pub(super) fn owner(&self) -> OwnerId {
        self.owner
    }

    pub(super) fn sock(&self) -> SockId {
        self.sock
    }

    /// Takes the change from SYN_SENT to ESTABLISHED; false if it is another, or that of another
    /// connection.
    pub(super) fn establish(&mut self, change: &Change<'_>, owners: &mut Owners) -> bool {
        let follows = (change.old, change.new) == (State::SynSent, State::Established);
        let other_peer = change.ends.differ_in_peer(self.ends);
        if self.progress != Progress::Connecting || !follows || other_peer {
            return false;
        }
        self.note(change, owners);
        self.later = change.at;
        self.progress = Progress::Connected;
        true
    }

    /// Takes the change from ESTABLISHED to CLOSE_WAIT; false if it is another, or that of another
    /// connection.
    pub(super) fn shut(&mut self, change: &Change<'_>, owners: &mut Owners) -> bool {
        let follows = (change.old, change.new) == (State::Established, State::CloseWait);
        let another = self.ends.differ(change.ends);
        if self.state() != State::Established || !follows || another {
            return false;
        }
        self.note(change, owners);
        self.fin_at = change.at;
        self.write_seq = change.socket.sequences.write_seq;
        self.shut = true;
        true
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut
    }

    /// What every change tells.
    fn note(&mut self, change: &Change<'_>, owners: &mut Owners) {
        self.ends.learn(change.ends);
        let before = owners.get(self.owner);
        let told = Owner {
            cgroup: change.cgroup.or(before.cgroup),
            netns: if change.netns == 0 {
                before.netns
            } else {
                change.netns
            },
            ..before
        };
        if told != before {
            self.owner = owners.exchange(self.owner, told);
        }
        self.cookie = change.cookie.or(self.cookie);
        self.error = change.socket.error;
    }

    /// Takes what a process accepted; false if that cannot be.
    pub(super) fn accept(&mut self, at: Timestamp, task: Task, owners: &mut Owners) -> bool {
        let waits = self.progress == Progress::Answered && !self.shut;
        if waits {
            self.later = at;
            let accepted = Owner {
                opener: Some(task),
                ..owners.get(self.owner)
            };
            self.owner = owners.exchange(self.owner, accepted);
            self.progress = Progress::Accepted;
        }
        waits
    }

    /// Where it was opened from.
    pub(super) fn opened_from(&mut self, opening: Option<Opening>) {
        self.opening = opening.map(Box::new);
    }

    pub(super) fn ends(&self) -> Compact {
        self.ends
    }

    fn state(&self) -> State {
        match self.progress {
            _ if self.shut => State::CloseWait,
            Progress::Connecting => State::SynSent,
            Progress::Connected | Progress::Answered | Progress::Accepted => State::Established,
        }
    }

    fn since(&self) -> Timestamp {
        if self.shut {
            self.fin_at
        } else {
            self.open_since()
        }
    }

    fn open_since(&self) -> Timestamp {
        match self.progress {
            Progress::Connected => self.later,
            Progress::Connecting | Progress::Answered | Progress::Accepted => self.first_at,
        }
    }

    fn origin(&self) -> Origin {
        match self.progress {
            Progress::Connecting | Progress::Connected => Origin::Connected,
            Progress::Answered | Progress::Accepted => Origin::Accepted,
        }
    }

    fn came_from(&self) -> State {
        match self.progress {
            _ if self.shut => State::Established,
            Progress::Connecting => State::Close,
            Progress::Connected => State::SynSent,
            Progress::Answered | Progress::Accepted => State::SynRecv,
        }
    }

    /// Writes all that is known of it and of its owner into `facts`, whatever they said before.
    pub(super) fn tell(&mut self, owner: Owner, facts: &mut Closed, sight: Sight, steps: usize) {
        facts.begin(sight, self.origin(), self.first_at, self.state());
        (facts.came_from, facts.since) = (Some(self.came_from()), Some(self.since()).into());
        (facts.ends, facts.netns) = (self.ends, owner.netns);
        (facts.cgroup, facts.cookie) = (owner.cgroup, self.cookie);
        facts.opened_by = owner.opener.map(|task| facts.people.add(task));
        facts.opening = self.opening.take();
        facts.error_before = Some(self.error);
        let (first, later, by) = (self.first_at, self.later, facts.opened_by);
        match self.progress {
            Progress::Connecting | Progress::Connected => {
                facts.note_step(first, Word::SynSent, by, steps);
            }
            Progress::Answered | Progress::Accepted => {
                facts.note_step(first, Word::Established, None, steps);
            }
        }
        match self.progress {
            Progress::Connected => {
                facts.note_step(later, Word::Established, None, steps);
                facts.add_time(Phase::Connecting, later.since(first));
            }
            Progress::Accepted => facts.note_step(later, Word::Accepted, by, steps),
            Progress::Connecting | Progress::Answered => {}
        }
        if self.shut {
            self.tell_fin(facts, steps);
        }
    }

    fn tell_fin(&self, facts: &mut Closed, steps: usize) {
        let at = self.fin_at;
        facts.add_time(Phase::Established, at.since(self.open_since()));
        facts.note_step(at, Word::PeerFin, None, steps);
        facts.written_by_peer_fin = Some(self.write_seq);
    }

    /// As an answer to the census; `None` if it is not meant.
    pub(super) fn standing(&self, stage: Stage, owners: &Owners) -> Option<Standing> {
        // A connect that began without a port has one by now that no event has told.
        let ends = self.ends.ends().filter(|ends| ends.local.port() != 0)?;
        let meant = Stage::of(self.state()) == Some(stage);
        let owner = owners.get(self.owner);
        meant.then(|| Standing {
            sock: self.sock,
            first_at: self.first_at,
            netns: owner.netns,
            ends,
            cookie: self.cookie.map(NonZeroU64::get),
            state: self.state(),
            since: self.since(),
            origin: self.origin(),
            opened_by: owner.opener,
            closed_by: None,
            opening: self.opening.as_deref().cloned(),
        })
    }

    /// Whether it is still what was told.
    pub(super) fn is(&self, told: &Standing) -> bool {
        (self.first_at, self.state(), self.since()) == (told.first_at, told.state, told.since)
    }
}

const _: () = assert!(size_of::<Option<Open>>() <= 96);
