//! CLOSE_WAIT over time: which sockets stay, and since when.
//!
//! Takes each census with what the tracker knows of the same sockets; keeps what it needs to
//! tell ages. A socket that the kernel does not show in CLOSE_WAIT is never told,
//! whatever was seen or lost before.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{Age, CloseWait, Owner, Service};
use crate::census::{Census, Holders, Looked, Seen};
use crate::event::{Ends, State, Task, Timestamp};
use crate::track::{Opening, Origin, Standing};

/// A socket that has been in CLOSE_WAIT for so long, and that the tracker does not know, was
/// missed; a younger one may have come while the census was taken.
const UNSEEN_AFTER: Duration = Duration::from_secs(2);

/// Watches for leaks.
#[derive(Debug)]
pub struct Watch {
    after: Duration,
    /// Every socket of the last census in CLOSE_WAIT, by namespace and cookie.
    waiting: HashMap<(u32, u64), Waiting>,
    /// Namespaces of the last census.
    looked_into: BTreeSet<u32>,
    /// Sockets that came into CLOSE_WAIT unseen.
    missed: u64,
}

/// One socket in CLOSE_WAIT.
#[derive(Clone, Debug)]
struct Waiting {
    /// It was in CLOSE_WAIT then, whatever came before.
    no_later_than: Timestamp,
    /// When it entered, if that was seen.
    since: Option<Timestamp>,
    /// What it is for, if its beginning was seen.
    service: Option<Service>,
    /// Who accepted or connected, if that was seen.
    opened_by: Option<Task>,
    /// From where in its program, if that was asked for and told.
    opening: Option<Opening>,
    /// Whose it was when that was last known.
    owner: Option<Owner>,
    /// The tracker knew it, it was there before all, or it counts as missed.
    is_counted: bool,
    /// It was told as leaked, and is for at least so long if it stays.
    told_until: Option<Timestamp>,
}

impl Watch {
    /// Sockets count as leaked from this age on.
    pub fn new(after: Duration) -> Self {
        Self {
            after,
            waiting: HashMap::new(),
            looked_into: BTreeSet::new(),
            missed: 0,
        }
    }

    /// Takes a census and what the tracker knew just before it, at `start`; gives every socket in
    /// CLOSE_WAIT, oldest first. Whose they are is still to be found.
    pub fn look(
        &mut self,
        census: &Census,
        standing: &[Standing],
        start: Timestamp,
    ) -> Vec<CloseWait> {
        let known: HashMap<(u32, Ends), &Standing> = standing
            .iter()
            .filter(|it| it.state == State::CloseWait)
            .map(|it| ((it.netns, it.ends), it))
            .collect();
        let mut before = std::mem::take(&mut self.waiting);
        let mut all = Vec::new();
        for (netns, looked) in &census.namespaces {
            let is_new = !self.looked_into.contains(netns);
            for seen in looked.tally.closing(State::CloseWait) {
                let key = (*netns, seen.cookie);
                let known = known.get(&(*netns, seen.ends)).copied();
                let known = known.filter(|it| is_possible(it, seen, looked));
                let earlier = before.remove(&key);
                let mut waiting = Waiting::new(earlier, seen, looked, known);
                let old = start.since(waiting.no_later_than) >= UNSEEN_AFTER;
                self.missed += u64::from(old && !waiting.is_counted && !is_new);
                waiting.is_counted |= old || is_new;
                all.push(waiting.socket(*netns, seen, looked));
                self.waiting.insert(key, waiting);
            }
        }
        // What nobody could look at this time is not young the next time.
        let unseen = |(netns, _): &(u32, u64)| census.failed.contains(netns);
        self.waiting
            .extend(before.into_iter().filter(|(key, _)| unseen(key)));
        let were = std::mem::take(&mut self.looked_into);
        let still = census.failed.iter().filter(|it| were.contains(it));
        self.looked_into = still.copied().collect();
        self.looked_into.extend(census.namespaces.keys());
        all.sort_by_key(|it| (Reverse(it.age), it.seen.ends));
        all
    }

    /// Those of these that count as leaked. What this side still sends on, and the peer still
    /// acknowledges, is half-closed and in use: a peer that has let go would reset it. What does
    /// so more rarely than the threshold is told all the time, and not now and then.
    pub fn leaked(&mut self, mut sockets: Vec<CloseWait>, now: Timestamp) -> Vec<CloseWait> {
        let after = self.after;
        let in_use = |seen: &Seen| {
            let quiet = seen.quiet.map(|it| it.data_sent.max(it.ack_received));
            quiet.is_some_and(|quiet| quiet < after)
        };
        sockets.retain(|it| {
            let Some(waiting) = self.waiting.get_mut(&(it.netns, it.seen.cookie)) else {
                return false;
            };
            let leaks = it.age.time >= after && !in_use(&it.seen);
            if leaks {
                waiting.told_until = Some(now.after(after));
            }
            leaks || waiting.told_until.is_some_and(|until| now < until)
        });
        sockets
    }

    /// Says whose a socket is. An owner stays the same for as long as one of its processes holds
    /// the socket, and while no holder is found.
    pub fn own(&mut self, socket: &mut CloseWait, holders: &Holders) {
        let now: Vec<Owner> = holders.all(socket.inode).map(Owner::of).collect();
        let Some(waiting) = self.waiting.get_mut(&(socket.netns, socket.seen.cookie)) else {
            return;
        };
        let stays = |owner: &Owner| now.is_empty() || now.contains(owner);
        if !waiting.owner.as_ref().is_some_and(stays) {
            waiting.owner = now.into_iter().next();
        }
        socket.owner = waiting.owner.clone().unwrap_or(Owner::NotFound);
    }

    /// Sockets that came into CLOSE_WAIT unseen since the first census of their namespace.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Whether what is known can be of this very socket, and not of another connection with its ends.
fn is_possible(known: &Standing, seen: &Seen, looked: &Looked) -> bool {
    let same = known.cookie.is_none_or(|cookie| cookie == seen.cookie);
    // No data comes after a FIN, and it acknowledges; a connection is younger than the last data
    // of the one before it. So these times hold whatever events were lost.
    let quiet = seen.quiet;
    let data = quiet.map(|quiet| looked.from.before(quiet.data_received));
    let no_earlier_than = data.map_or(Timestamp(0), |at| at.before(SLACK));
    let ack = seen.least_close_wait().unwrap_or_default();
    let possible = no_earlier_than..=looked.to.before(ack).after(SLACK);
    same && possible.contains(&known.since)
}

impl Waiting {
    fn new(before: Option<Self>, seen: &Seen, looked: &Looked, known: Option<&Standing>) -> Self {
        let told = looked
            .to
            .before(seen.least_close_wait().unwrap_or_default());
        let mut waiting = before.unwrap_or(Self {
            no_later_than: told,
            since: None,
            service: None,
            opened_by: None,
            opening: None,
            owner: None,
            told_until: None,
            is_counted: false,
        });
        waiting.no_later_than = waiting.no_later_than.min(told);
        if let Some(known) = known {
            waiting.is_counted = true;
            waiting.since = Some(known.since);
            waiting.service = match known.origin {
                Origin::Connected => Some(Service::Remote(seen.ends.peer)),
                Origin::Accepted => Some(Service::Local(seen.ends.local.port())),
                Origin::Unseen => waiting.service,
            };
            waiting.opened_by = known.opened_by.or(waiting.opened_by);
            waiting.opening = known.opening.clone().or(waiting.opening);
        }
        waiting
    }

    fn age(&self, now: Timestamp) -> Age {
        match self.since {
            Some(since) => Age::exactly(now.since(since)),
            None => Age::at_least(now.since(self.no_later_than)),
        }
    }

    fn socket(&self, netns: u32, seen: &Seen, looked: &Looked) -> CloseWait {
        let mut socket = CloseWait::new(netns, *seen, looked, self.age(looked.from));
        socket.opened_by.clone_from(&self.opened_by);
        socket.opening.clone_from(&self.opening);
        socket.service = self.service.unwrap_or(socket.service);
        socket
    }
}

/// The kernel counts in ticks what the probes stamp in nanoseconds.
const SLACK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
