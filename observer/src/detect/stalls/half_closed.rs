//! FIN_WAIT2 without end: this side has shut down sending, the peer never closes.
//!
//! Takes the sockets that a process holds in FIN_WAIT2; gives one [`HalfClosed`] for each
//! owner and service. The kernel bounds FIN_WAIT2 (`tcp_fin_timeout`, `TCP_LINGER2`) only
//! once close() was called; RFC 9293 §3.6 lets a half-closed connection receive for ever.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::Stuck;
use crate::census::{Holder, Holders};
use crate::detect::close_wait::with_many_remotes;
use crate::detect::{Age, Owner, Service};

/// Sockets in FIN_WAIT2 of one owner for one service.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfClosed {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Whose they are.
    pub owner: Owner,
    /// What they are for.
    pub service: Service,
    /// Every process that holds one now.
    pub holders: Vec<Holder>,
    /// How many sockets.
    pub count: usize,
    /// The age of the oldest.
    pub oldest: Age,
    /// Bytes that the application has not read.
    pub unread: u64,
    /// The oldest sockets, at most [`Self::MOST_SOCKETS`], oldest first.
    pub sockets: Vec<Stuck>,
}

/// Groups sockets; the most come first.
pub(super) fn group(sockets: Vec<Stuck>, holders: &Holders) -> Vec<HalfClosed> {
    let all = sockets.iter().map(|it| (it.netns, &it.owner, it.service));
    let many = with_many_remotes(&all.collect::<Vec<_>>());
    let mut groups: BTreeMap<_, Vec<Stuck>> = BTreeMap::new();
    for mut socket in sockets {
        let is_remote = matches!(socket.service, Service::Remote(_));
        if is_remote && many.contains(&(socket.netns, socket.owner.clone())) {
            socket.service = Service::ManyRemotes;
        }
        let key = (socket.netns, socket.owner.clone(), socket.service);
        groups.entry(key).or_default().push(socket);
    }
    let one = |((netns, owner, service), mut sockets): (_, Vec<Stuck>)| {
        sockets.sort_by_key(|it| (Reverse(it.age), it.seen.ends));
        let mut half = HalfClosed {
            netns,
            owner,
            service,
            holders: holders.of(sockets.iter().map(|it| it.seen.inode)),
            count: sockets.len(),
            oldest: sockets
                .first()
                .map_or(Age::exactly(Duration::ZERO), |it| it.age),
            unread: sockets.iter().map(|it| u64::from(it.seen.unread())).sum(),
            sockets: Vec::new(),
        };
        sockets.truncate(HalfClosed::MOST_SOCKETS);
        half.sockets = sockets;
        half
    };
    let mut all: Vec<HalfClosed> = groups.into_iter().map(one).collect();
    all.sort_by_key(|it| Reverse(it.count));
    all
}

impl HalfClosed {
    /// Sockets kept of one; all are counted.
    pub const MOST_SOCKETS: usize = 100;

    /// A part of a finding's id: the same for as long as owner and service are.
    pub(in crate::detect) fn id(&self) -> String {
        format!("{}/{}", self.owner.id(), self.service.id())
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        if self.unread > 0 {
            "the process called shutdown(), does not read what still comes, and does not call \
             close(): look for a thread that is blocked; tcp_fin_timeout does not touch these, \
             for it counts from close()"
        } else {
            "the process called shutdown() and waits for an end that the peer does not send: \
             give that wait a limit, and close() when it is over (from then on tcp_fin_timeout \
             counts, which does not touch these); then ask why the peer stays, where the same \
             connections are in CLOSE_WAIT unless it is gone; if it is, SO_KEEPALIVE ends them"
        }
    }
}
