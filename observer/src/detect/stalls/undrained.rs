//! FINs that the peer does not acknowledge: FIN_WAIT1, CLOSING and LAST_ACK that do not drain.
//!
//! Takes the sockets whose send queue has stayed as it is; gives one [`Undrained`] for each
//! service with many of them. A few are the usual fate of clients that vanish: the kernel gives
//! them up by itself, an orphan after `tcp_orphan_retries` (`tcp_write_timeout`,
//! `tcp_probe_timer`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{Stuck, most_frequent};
use crate::detect::close_wait::with_many_remotes;
use crate::detect::{Age, Findings, Matter, Service};

/// Raised when a service has so many; over when it has half as many.
const MANY: usize = 10;

/// Closers and peers named.
const MOST_NAMED: usize = 10;

/// Sockets of one service that wait for the peer to acknowledge their FIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Undrained {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// What they are for.
    pub service: Service,
    /// How many sockets.
    pub count: usize,
    /// How many of them no process holds any more.
    pub orphans: usize,
    /// How many of them have a peer that has shut its window.
    pub window_shut: usize,
    /// The age of the oldest.
    pub oldest: Age,
    /// Bytes that the peers have not acknowledged, FINs not counted.
    pub unacked: u64,
    /// Who closed most of them, as far as that was seen.
    pub closed_by: Vec<(String, u64)>,
    /// The peers with most of them.
    pub peers: Vec<(IpAddr, u64)>,
    /// The oldest sockets, at most [`Self::MOST_SOCKETS`], oldest first.
    pub sockets: Vec<Stuck>,
}

/// Groups sockets, and gives the services with many; the most come first.
pub(super) fn group(sockets: Vec<Stuck>, told: &Findings) -> Vec<Undrained> {
    let all = sockets.iter().map(|it| (it.netns, &it.owner, it.service));
    let many = with_many_remotes(&all.collect::<Vec<_>>());
    let mut groups: BTreeMap<_, Vec<Stuck>> = BTreeMap::new();
    for socket in sockets {
        let is_remote = matches!(socket.service, Service::Remote(_));
        let service = if is_remote && many.contains(&(socket.netns, socket.owner.clone())) {
            Service::ManyRemotes
        } else {
            socket.service
        };
        groups
            .entry((socket.netns, service))
            .or_default()
            .push(socket);
    }
    let groups = groups.into_iter();
    let mut all: Vec<Undrained> = groups
        .map(|((netns, service), sockets)| Undrained::new(netns, service, sockets))
        .filter(|it| it.is_matter(told))
        .collect();
    all.sort_by_key(|it| Reverse(it.count));
    all
}

impl Undrained {
    /// Sockets kept of one; all are counted.
    pub const MOST_SOCKETS: usize = 100;

    fn new(netns: u32, service: Service, mut sockets: Vec<Stuck>) -> Self {
        sockets.sort_by_key(|it| (Reverse(it.age), it.seen.ends));
        let closers = sockets.iter().filter_map(|it| it.closed_by.as_ref());
        let closed_by = most_frequent(closers.map(|it| it.comm.to_string()), MOST_NAMED);
        let peers = sockets.iter().map(|it| it.seen.ends.peer.ip());
        let count = |fits: fn(&&Stuck) -> bool| sockets.iter().filter(fits).count();
        let mut undrained = Self {
            netns,
            service,
            count: sockets.len(),
            orphans: count(|it| it.is_orphan()),
            window_shut: count(|it| it.seen.probes_window),
            oldest: sockets
                .first()
                .map_or(Age::exactly(Duration::ZERO), |it| it.age),
            unacked: sockets.iter().map(|it| u64::from(it.seen.unacked())).sum(),
            closed_by,
            peers: most_frequent(peers, MOST_NAMED),
            sockets: Vec::new(),
        };
        sockets.truncate(Self::MOST_SOCKETS);
        undrained.sockets = sockets;
        undrained
    }

    fn is_matter(&self, told: &Findings) -> bool {
        let id = Matter::ClosingStall(self.clone()).id();
        let enough = if told.is_raised(&id) {
            MANY / 2 + 1
        } else {
            MANY
        };
        self.count >= enough
    }

    /// A part of a finding's id: the same for as long as the service is.
    pub(in crate::detect) fn id(&self) -> String {
        self.service.id()
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        let shut = self.window_shut * 2 > self.count;
        let held = self.orphans * 2 < self.count;
        match (shut, held) {
            (true, true) => {
                "the peers answer and do not read: their windows are shut, and the process here \
                 still holds the sockets, so nothing bounds the wait: TCP_USER_TIMEOUT does; look \
                 at what the peers are busy with"
            }
            (true, false) => {
                "the peers answer and do not read: their windows are shut; look at what they are \
                 busy with; the kernel keeps what was written until it gives them up, sooner with \
                 a small tcp_orphan_retries (0 stands for 8); TCP_USER_TIMEOUT bounds it for one \
                 socket"
            }
            (false, true) => {
                "the peers, or the path to them, went away: look at routes, firewalls and \
                 whatever tracks connections on the way; the kernel gives up after tcp_retries2, \
                 for the process still holds the sockets; TCP_USER_TIMEOUT gives up sooner"
            }
            (false, false) => {
                "the peers, or the path to them, went away: look at routes, firewalls and \
                 whatever tracks connections on the way; the kernel gives them up by itself, \
                 sooner with a small tcp_orphan_retries (0 stands for 8); tcp_fin_timeout does \
                 not touch these"
            }
        }
    }
}
