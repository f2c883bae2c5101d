//! Since when a socket has waited for the peer to do its part of a close.
//!
//! Takes each census with what the tracker knew just before it. A socket that the kernel does
//! not show is never told; what the tracker knows only sharpens ages and names who closed.

use std::collections::HashMap;
use std::time::Duration;

use crate::census::{Census, Holders, Looked, Seen};
use crate::detect::{Age, Owner, Service};
use crate::event::{Ends, State, Task, Timestamp};
use crate::track::{Origin, Standing};

/// The kernel counts in ticks what the probes stamp in nanoseconds.
const SLACK: Duration = Duration::from_millis(50);

/// What a socket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// FIN_WAIT2: the peer has acknowledged all, and has not closed.
    PeersFin,
    /// FIN_WAIT1, CLOSING and LAST_ACK: the peer has not acknowledged our FIN.
    Acknowledgement,
}

/// One socket that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// Inode number of its network namespace.
    pub netns: u32,
    /// The socket.
    pub seen: Seen,
    /// For how long it has waited.
    pub age: Age,
    /// For how long of that the peer has done nothing that would end it.
    pub quiet: Duration,
    /// What it is for.
    pub service: Service,
    /// Who closed it or shut down sending, if that was seen.
    pub closed_by: Option<Task>,
    /// Whose it is.
    pub owner: Owner,
    pub(super) wait: Wait,
}

impl Stuck {
    /// No file holds it any more.
    pub fn is_orphan(&self) -> bool {
        self.seen.inode == 0
    }

    /// A timer ends an orphan's FIN_WAIT2, and nothing that of a socket which is held.
    pub(super) fn is_matter(&self) -> bool {
        self.wait == Wait::Acknowledgement || !self.is_orphan()
    }
}

/// Follows sockets that wait for the same.
#[derive(Debug)]
pub(super) struct Follower {
    wait: Wait,
    /// Every one of the last census, by namespace and cookie.
    waiting: HashMap<(u32, u64), Waiting>,
}

/// One socket.
#[derive(Clone, Debug)]
struct Waiting {
    /// It waited then, whatever came before.
    no_later_than: Timestamp,
    /// When it began to wait, if that was seen.
    since: Option<Timestamp>,
    /// Bytes in its send queue, and when they were first seen to be so many.
    send_queue: (u32, Timestamp),
    /// What it is for, if its beginning was seen.
    service: Option<Service>,
    closed_by: Option<Task>,
    /// Whose it was when that was last known.
    owner: Option<Owner>,
}

impl Wait {
    fn states(self) -> &'static [State] {
        match self {
            Self::PeersFin => &[State::FinWait2],
            Self::Acknowledgement => &[State::FinWait1, State::Closing, State::LastAck],
        }
    }

    /// The least time that it can have waited: FIN_WAIT2 begins with an acknowledgement, and
    /// the kernel keeps when the last one came. Nothing tells when a FIN was queued.
    fn least(self, seen: &Seen) -> Duration {
        match (self, seen.quiet) {
            (Self::PeersFin, Some(quiet)) => quiet.ack_received,
            (Self::PeersFin, None) | (Self::Acknowledgement, _) => Duration::ZERO,
        }
    }

    /// What is known may be of an earlier connection with the same ends. Nothing is sent in
    /// FIN_WAIT2, so it began after the last data of this one.
    fn is_possible(self, known: &Standing, seen: &Seen, looked: &Looked) -> bool {
        let same = known.cookie.is_none_or(|cookie| cookie == seen.cookie);
        let sent = match (self, seen.quiet) {
            (Self::PeersFin, Some(quiet)) => looked.from.before(quiet.data_sent).before(SLACK),
            (Self::PeersFin, None) | (Self::Acknowledgement, _) => Timestamp(0),
        };
        let possible = sent..=looked.to.before(self.least(seen)).after(SLACK);
        same && possible.contains(&known.since)
    }
}

impl Follower {
    pub(super) fn new(wait: Wait) -> Self {
        Self {
            wait,
            waiting: HashMap::new(),
        }
    }

    /// Every socket that waits.
    pub(super) fn look(&mut self, census: &Census, standing: &[Standing]) -> Vec<Stuck> {
        let known: HashMap<(u32, Ends), &Standing> = standing
            .iter()
            .filter(|it| self.wait.states().contains(&it.state))
            .map(|it| ((it.netns, it.ends), it))
            .collect();
        let mut before = std::mem::take(&mut self.waiting);
        let mut all = Vec::new();
        for (netns, looked) in &census.namespaces {
            let states = self.wait.states().iter();
            for seen in states.flat_map(|state| looked.tally.closing(*state)) {
                let known = known.get(&(*netns, seen.ends)).copied();
                let known = known.filter(|it| self.wait.is_possible(it, seen, looked));
                let key = (*netns, seen.cookie);
                let told = looked.to.before(self.wait.least(seen));
                let mut waiting = before
                    .remove(&key)
                    .unwrap_or_else(|| Waiting::new(seen, told, looked));
                waiting.update(seen, told, looked);
                waiting.know(known, seen);
                all.push(waiting.stuck(self.wait, *netns, seen, looked));
                self.waiting.insert(key, waiting);
            }
        }
        // What nobody could look at this time is not young the next time.
        let unseen = |(netns, _): &(u32, u64)| census.failed.contains(netns);
        self.waiting
            .extend(before.into_iter().filter(|(key, _)| unseen(key)));
        all
    }

    /// Says whose a socket is. An owner stays the same for as long as one of its processes holds
    /// the socket, and while no holder is found.
    pub(super) fn own(&mut self, stuck: &mut Stuck, holders: &Holders) {
        let now: Vec<Owner> = holders.all(stuck.seen.inode).map(Owner::of).collect();
        let Some(waiting) = self.waiting.get_mut(&(stuck.netns, stuck.seen.cookie)) else {
            return;
        };
        let stays = |owner: &Owner| now.is_empty() || now.contains(owner);
        if !waiting.owner.as_ref().is_some_and(stays) {
            waiting.owner = now.into_iter().next();
        }
        stuck.owner = waiting.owner.clone().unwrap_or(Owner::NotFound);
    }
}

impl Waiting {
    fn new(seen: &Seen, told: Timestamp, looked: &Looked) -> Self {
        Self {
            no_later_than: told,
            since: None,
            send_queue: (seen.send_queue, looked.to),
            service: None,
            closed_by: None,
            owner: None,
        }
    }

    fn update(&mut self, seen: &Seen, told: Timestamp, looked: &Looked) {
        self.no_later_than = self.no_later_than.min(told);
        if self.send_queue.0 != seen.send_queue {
            self.send_queue = (seen.send_queue, looked.to);
        }
    }

    fn know(&mut self, known: Option<&Standing>, seen: &Seen) {
        let Some(known) = known else { return };
        // FIN_WAIT1 leads to CLOSING, and our FIN is the same.
        let earlier = self.since.map_or(known.since, |it| it.min(known.since));
        self.since = Some(earlier);
        self.service = match known.origin {
            Origin::Connected => Some(Service::Remote(seen.ends.peer)),
            Origin::Accepted => Some(Service::Local(seen.ends.local.port())),
            Origin::Unseen => self.service,
        };
        if known.closed_by.is_some() {
            self.closed_by.clone_from(&known.closed_by);
        }
    }

    fn stuck(&self, wait: Wait, netns: u32, seen: &Seen, looked: &Looked) -> Stuck {
        let now = looked.from;
        let age = match self.since {
            Some(since) => Age::exactly(now.since(since)),
            None => Age::at_least(now.since(self.no_later_than)),
        };
        let times = seen.quiet;
        let quiet = match wait {
            // What is half-closed and in use is no stall.
            Wait::PeersFin => times.map_or(age.time, |it| it.data_received),
            // What drains slowly is none either.
            Wait::Acknowledgement => {
                let silent = times.map_or(Duration::ZERO, |it| it.ack_received);
                now.since(self.send_queue.1).max(silent)
            }
        };
        Stuck {
            netns,
            seen: *seen,
            age,
            quiet: quiet.min(age.time),
            service: self
                .service
                .unwrap_or_else(|| Service::of(seen.ends, looked)),
            closed_by: self.closed_by,
            owner: Owner::NotFound,
            wait,
        }
    }
}
