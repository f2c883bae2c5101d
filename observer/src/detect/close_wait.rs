//! CLOSE_WAIT leaks: the peer has closed, and this side never does.
//!
//! Takes the sockets that the kernel confirms in CLOSE_WAIT with their ages and holders;
//! gives one [`Leak`] for each owner and service. RFC 9293 §3.3.2: CLOSE-WAIT "represents
//! waiting for a connection termination request from the local user", for which TCP has no
//! timeout.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Age, Opened, Owner, Service};
use crate::census::{Holder, Looked, Seen};
use crate::event::Task;
use crate::track::Opening;

/// Remote services of one owner that are told one by one.
const MOST_REMOTES: usize = 20;

/// One socket that has been in CLOSE_WAIT for too long.
#[derive(Clone, Debug, PartialEq)]
pub struct CloseWait {
    /// Inode number of its network namespace.
    pub netns: u32,
    /// The socket.
    pub seen: Seen,
    /// For how long.
    pub age: Age,
    /// What it is for.
    pub service: Service,
    /// Who accepted or connected it, if that was seen.
    pub opened_by: Option<Task>,
    /// From where in its program, if that was asked for and told.
    pub opening: Option<Opening>,
    /// Whether a process accepted or connected it. What nobody accepted is its listener's.
    pub accepted: bool,
    /// The inode that its holders hold: its own, or its listener's; 0 if there is none.
    pub inode: u32,
    /// Whose it is.
    pub owner: Owner,
}

impl CloseWait {
    /// A socket of a namespace that was looked into. Whose it is, a search for holders of its
    /// `inode` tells.
    pub fn new(netns: u32, seen: Seen, looked: &Looked, age: Age) -> Self {
        let listener = looked.tally.listener(seen.ends).map(|it| it.inode);
        // Some kernels tell the listener's inode of what nobody accepted yet.
        let accepted = seen.inode != 0 && Some(seen.inode) != listener;
        Self {
            netns,
            seen,
            age,
            service: Service::of(seen.ends, looked),
            opened_by: None,
            opening: None,
            accepted,
            inode: if accepted {
                seen.inode
            } else {
                listener.unwrap_or_default()
            },
            owner: Owner::NotFound,
        }
    }
}

/// Sockets in CLOSE_WAIT of one owner for one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Whose they are.
    pub owner: Owner,
    /// What they are for.
    pub service: Service,
    /// Whether they were accepted; else they wait in the queue of a listener of the owner.
    pub accepted: bool,
    /// Every process that holds one now, or its listener.
    pub holders: Vec<Holder>,
    /// How many sockets.
    pub count: usize,
    /// The age of the oldest.
    pub oldest: Age,
    /// Bytes that the application has not read.
    pub unread: u64,
    /// Bytes that the peer has not acknowledged.
    pub unacked: u64,
    /// Sockets whose application has not read to the end of file: it does not know yet that
    /// the peer has closed.
    pub not_read_to_end: usize,
    /// From where they were opened.
    pub opened: Box<Opened>,
    /// The oldest sockets, at most [`Self::MOST_SOCKETS`], oldest first.
    pub sockets: Vec<CloseWait>,
}

/// Groups sockets; the leak with the most comes first.
pub fn leaks(
    sockets: impl IntoIterator<Item = CloseWait>,
    holders: impl Fn(&[CloseWait]) -> Vec<Holder>,
) -> Vec<Leak> {
    let mut groups: BTreeMap<_, Vec<CloseWait>> = BTreeMap::new();
    let sockets: Vec<CloseWait> = sockets.into_iter().collect();
    let all = sockets.iter().map(|it| (it.netns, &it.owner, it.service));
    let many = with_many_remotes(&all.collect::<Vec<_>>());
    for mut socket in sockets {
        let is_remote = matches!(socket.service, Service::Remote(_));
        if is_remote && many.contains(&(socket.netns, socket.owner.clone())) {
            socket.service = Service::ManyRemotes;
        }
        let owner = socket.owner.clone();
        let key = (socket.netns, owner, socket.service, socket.accepted);
        groups.entry(key).or_default().push(socket);
    }
    let leak = |((netns, owner, service, accepted), mut sockets): (_, Vec<CloseWait>)| {
        sockets.sort_by_key(|it| (Reverse(it.age), it.seen.ends));
        let bytes = |of: fn(&Seen) -> u32| sockets.iter().map(|it| u64::from(of(&it.seen))).sum();
        let unaware = sockets.iter().filter(|it| !it.seen.has_read_to_end());
        let mut leak = Leak {
            netns,
            owner,
            service,
            accepted,
            holders: holders(&sockets),
            count: sockets.len(),
            oldest: sockets
                .first()
                .map_or(Age::exactly(Duration::ZERO), |it| it.age),
            unread: bytes(Seen::unread),
            unacked: bytes(|seen| seen.send_queue),
            not_read_to_end: unaware.count(),
            opened: Box::new(Opened::of(&sockets)),
            sockets: Vec::new(),
        };
        sockets.truncate(Leak::MOST_SOCKETS);
        leak.sockets = sockets;
        leak
    };
    let mut leaks: Vec<Leak> = groups.into_iter().map(leak).collect();
    leaks.sort_by_key(|leak| Reverse(leak.count));
    leaks
}

/// Owners, by namespace, with more remote services than can be told one by one, such as a crawler.
pub(super) fn with_many_remotes(sockets: &[(u32, &Owner, Service)]) -> BTreeSet<(u32, Owner)> {
    let mut remotes: BTreeMap<(u32, &Owner), BTreeSet<Service>> = BTreeMap::new();
    for &(netns, owner, service) in sockets {
        if let Service::Remote(_) = service {
            remotes.entry((netns, owner)).or_default().insert(service);
        }
    }
    let many = remotes
        .into_iter()
        .filter(|(_, of_owner)| of_owner.len() > MOST_REMOTES);
    many.map(|((netns, owner), _)| (netns, owner.clone()))
        .collect()
}

impl Leak {
    /// Sockets kept of one leak; all are counted.
    pub const MOST_SOCKETS: usize = 100;

    /// A part of a finding's id: the same for as long as owner and service are.
    pub(super) fn id(&self) -> String {
        let (owner, service) = (self.owner.id(), self.service.id());
        let kind = if self.accepted { "" } else { "/not-accepted" };
        format!("{owner}/{service}{kind}")
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        if !self.accepted {
            return "the peers gave up before anybody accepted them: the process that listens is \
                    stuck or too slow to call accept(); look at what its threads wait for";
        }
        if self.owner == Owner::NotFound {
            return "no process has a descriptor of them: look for a socket in flight over a Unix \
                    socket, for io_uring, and for processes of a container whose /proc is not \
                    this one";
        }
        if self.not_read_to_end == 0 {
            "the process has read all that came and does not call close(): look for a path, often \
             of an error or a timeout, that drops the connection without closing it, and for a \
             pool that keeps idle connections without checking them; until that is mended, a \
             restart frees them, and no sysctl does"
        } else if self.not_read_to_end == self.count {
            "the process does not read, so it does not see that the peer has closed: a pool that \
             keeps idle connections without checking them, or a thread that is blocked; let \
             the pool close what is idle for longer than the peer allows; until then a restart \
             frees them, and no sysctl does"
        } else {
            "the process neither reads some of them nor closes those that it has read to the end: \
             look for a blocked thread, an idle pool and a path that forgets close(); until \
             then a restart frees them, and no sysctl does"
        }
    }
}
