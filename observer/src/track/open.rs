//! A connection that is open, and of which nothing else is to be said yet.
//!
//! There may be a million of them, so this holds what they have in common and no more. What
//! begins to close, or does anything else, goes on as a [`Closed`] that says the same.

use std::net::{Ipv6Addr, SocketAddr};

use crate::classify::Phase;
use crate::event::{Comm, Ends, SockId, State, Task, Timestamp};

use super::Sight;
use super::closed::{Closed, Origin};
use super::facts::Change;
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

/// Whether a task is known that opened it. Apart from the rest of the task, it takes no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    Nobody,
    Alive,
    Exiting,
}

/// One open connection end.
#[derive(Debug)]
pub(super) struct Open {
    sock: SockId,
    first_at: Timestamp,
    /// When it was established as a client, or accepted as a server.
    later: Timestamp,
    /// 0 is none.
    cgroup: u64,
    /// 0 is none.
    cookie: u64,
    opening: Option<Box<Opening>>,
    /// Who opened it, if `opened` says that somebody did.
    pid: u32,
    comm: Comm,
    opened: Opened,
    ends: Compact,
    netns: u32,
    error: u16,
    progress: Progress,
}

/// Both ends in as few bytes as can be: IPv4 as the IPv6 addresses that map it. Both ports are 0
/// where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Compact {
    local: [u8; 16],
    peer: [u8; 16],
    local_port: u16,
    peer_port: u16,
}

impl Compact {
    fn of(ends: Option<Ends>) -> Self {
        ends.map_or_else(Self::default, |ends| Self {
            local: mapped(ends.local),
            peer: mapped(ends.peer),
            local_port: ends.local.port(),
            peer_port: ends.peer.port(),
        })
    }

    fn ends(self) -> Option<Ends> {
        let known = self.local_port != 0 || self.peer_port != 0;
        let end = |address, port| SocketAddr::new(Ipv6Addr::from(address).to_canonical(), port);
        known.then(|| Ends {
            local: end(self.local, self.local_port),
            peer: end(self.peer, self.peer_port),
        })
    }

    const fn is_complete(self) -> bool {
        self.local_port != 0 && self.peer_port != 0
    }

    const fn is_known(self) -> bool {
        self.local_port != 0 || self.peer_port != 0
    }
}

fn mapped(end: SocketAddr) -> [u8; 16] {
    match end {
        SocketAddr::V4(end) => end.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(end) => end.ip().octets(),
    }
}

impl Open {
    /// What begins with this change; `None` if more is to be said of it.
    pub(super) fn begin(sock: SockId, change: &Change<'_>) -> Option<Self> {
        let progress = match (change.old, change.new) {
            (State::Close, State::SynSent) => Progress::Connecting,
            (State::SynRecv, State::Established) => Progress::Answered,
            _ => return None,
        };
        let socket = change.socket;
        let mut open = Self {
            sock,
            first_at: change.at,
            later: change.at,
            cgroup: socket.cgroup.unwrap_or(0),
            cookie: socket.cookie.unwrap_or(0),
            opening: None,
            pid: 0,
            comm: Comm::default(),
            opened: Opened::Nobody,
            ends: Compact::of(change.ends),
            netns: change.netns,
            error: socket.error,
            progress,
        };
        if progress == Progress::Connecting {
            open.opened_by(change.task);
        }
        Some(open)
    }

    fn opened_by(&mut self, task: Task) {
        (self.pid, self.comm) = (task.pid, task.comm);
        self.opened = if task.exiting {
            Opened::Exiting
        } else {
            Opened::Alive
        };
    }

    fn opener(&self) -> Option<Task> {
        (self.opened != Opened::Nobody).then(|| Task {
            pid: self.pid,
            comm: self.comm,
            exiting: self.opened == Opened::Exiting,
        })
    }

    pub(super) fn sock(&self) -> SockId {
        self.sock
    }

    /// Takes the change from SYN_SENT to ESTABLISHED; false if it is another.
    pub(super) fn establish(&mut self, change: &Change<'_>) -> bool {
        let follows = (change.old, change.new) == (State::SynSent, State::Established);
        if self.progress != Progress::Connecting || !follows {
            return false;
        }
        let ends = Compact::of(change.ends);
        if ends.is_known() && (ends.is_complete() || !self.ends.is_complete()) {
            self.ends = ends;
        }
        if change.netns != 0 {
            self.netns = change.netns;
        }
        self.cgroup = change.socket.cgroup.unwrap_or(self.cgroup);
        self.cookie = change.socket.cookie.unwrap_or(self.cookie);
        self.error = change.socket.error;
        self.later = change.at;
        self.progress = Progress::Connected;
        true
    }

    /// Takes what a process accepted; false if that cannot be.
    pub(super) fn accept(&mut self, at: Timestamp, task: Task) -> bool {
        let waits = self.progress == Progress::Answered;
        if waits {
            self.later = at;
            self.opened_by(task);
            self.progress = Progress::Accepted;
        }
        waits
    }

    /// Where it was opened from.
    pub(super) fn opened_from(&mut self, opening: Option<Opening>) {
        self.opening = opening.map(Box::new);
    }

    /// Its network namespace and ends.
    pub(super) fn place(&self) -> (u32, Option<Ends>) {
        (self.netns, self.ends.ends())
    }

    fn state(&self) -> State {
        match self.progress {
            Progress::Connecting => State::SynSent,
            Progress::Connected | Progress::Answered | Progress::Accepted => State::Established,
        }
    }

    fn since(&self) -> Timestamp {
        match self.progress {
            Progress::Connected => self.later,
            Progress::Connecting | Progress::Answered | Progress::Accepted => self.first_at,
        }
    }

    fn origin(&self) -> Origin {
        match self.progress {
            Progress::Connecting | Progress::Connected => Origin::Connected(self.first_at),
            Progress::Answered | Progress::Accepted => Origin::Accepted(self.first_at),
        }
    }

    fn came_from(&self) -> State {
        match self.progress {
            Progress::Connecting => State::Close,
            Progress::Connected => State::SynSent,
            Progress::Answered | Progress::Accepted => State::SynRecv,
        }
    }

    /// Writes all that is known of it into `facts`, whatever they said before.
    pub(super) fn tell(&mut self, facts: &mut Closed, sight: Sight, steps: usize) {
        facts.begin(sight, self.origin(), self.first_at, self.state());
        (facts.came_from, facts.since) = (Some(self.came_from()), Some(self.since()));
        (facts.ends, facts.netns) = (self.ends.ends(), self.netns);
        facts.cgroup = (self.cgroup != 0).then_some(self.cgroup);
        facts.cookie = (self.cookie != 0).then_some(self.cookie);
        facts.opened_by = self.opener().map(|task| facts.people.add(task));
        facts.opening = self.opening.take().map(|it| *it);
        facts.error_before = Some(self.error);
        let (first, later, by) = (self.first_at, self.later, facts.opened_by);
        let established = Some(State::Established);
        let trail = &mut facts.trail;
        match self.progress {
            Progress::Connecting | Progress::Connected => {
                trail.add((first, Word::SynSent), Some(State::SynSent), by, steps);
            }
            Progress::Answered | Progress::Accepted => {
                trail.add((first, Word::Established), established, None, steps);
            }
        }
        match self.progress {
            Progress::Connected => {
                trail.add((later, Word::Established), established, None, steps);
                facts.add_time(Phase::Connecting, later.since(first));
            }
            Progress::Accepted => trail.add((later, Word::Accepted), None, by, steps),
            Progress::Connecting | Progress::Answered => {}
        }
    }

    /// As an answer to the census; `None` if it is not meant.
    pub(super) fn standing(&self, stage: Stage) -> Option<Standing> {
        // A connect that began without a port has one by now that no event has told.
        let ends = self.ends.ends().filter(|ends| ends.local.port() != 0)?;
        let meant = Stage::of(self.state()) == Some(stage);
        meant.then(|| Standing {
            sock: self.sock,
            first_at: self.first_at,
            netns: self.netns,
            ends,
            cookie: (self.cookie != 0).then_some(self.cookie),
            state: self.state(),
            since: self.since(),
            origin: self.origin(),
            opened_by: self.opener(),
            closed_by: None,
            opening: self.opening.as_deref().cloned(),
        })
    }

    /// Whether it is still what was told.
    pub(super) fn is(&self, told: &Standing) -> bool {
        (self.first_at, self.state(), self.since()) == (told.first_at, told.state, told.since)
    }
}

const _: () = assert!(size_of::<Open>() <= 112);
