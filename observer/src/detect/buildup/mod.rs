//! Sockets in TIME_WAIT that come near the bound of their network namespace.
//!
//! Takes what the census counted and who closed first lately; gives a [`Buildup`] for each
//! namespace that has, or soon will have, no room for more. TIME_WAIT itself is no fault: below
//! the bound it takes a little memory, and of a client a local port ([`super::Headroom`] tells
//! when those run out). At `tcp_max_tw_buckets` the kernel leaves TIME_WAIT out
//! (`inet_twsk_alloc`), and a late segment of the old connection may meet a new one with the same
//! ends. The bound is the namespace's own, and FIN_WAIT2 minisocks count too.

mod makers;

mod overflows;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Findings, Happening, Lately, Matter};
use crate::census::{Census, Looked};

pub use makers::Maker;
use overflows::Overflows;

/// Raised at this share of the bound, in percent, ...
const FULL: u64 = 80;

/// ... and over below this one.
const ROOM: u64 = 60;

/// Namespaces that whoever asks is told of, besides those that run out of room.
const MOST_ROOMY: usize = 100;

/// Over which the rate is told.
const RATE_OVER: Duration = Duration::from_mins(1);

/// A namespace that runs out of room for TIME_WAIT.
#[derive(Clone, Debug, PartialEq)]
pub struct Buildup {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// `tcp_max_tw_buckets`.
    pub limit: u64,
    /// Minisocks, which the limit bounds: TIME_WAIT and FIN_WAIT2.
    pub minisocks: u64,
    /// Of connections that this host opened.
    pub of_clients: u64,
    /// Of connections that this host served.
    pub of_servers: u64,
    /// What they take of memory, if the size of one is known.
    pub memory_bytes: Option<u64>,
    /// How many came a minute, of late; `None` if the agent has just started.
    pub per_minute: Option<f64>,
    /// How many were left out in the last minutes, since the agent began to look.
    pub overflows: u64,
    /// The services that have most of them, and who closed first.
    pub makers: Vec<Maker>,
}

/// Looks for them at each census.
#[derive(Debug)]
pub struct BuildupWatch {
    minisock_bytes: Option<u64>,
    overflows: Overflows,
    highest_share: f64,
    /// The namespaces with the most minisocks, the most first.
    most: Vec<Buildup>,
    /// How many namespaces have some, or left some out of late.
    count: usize,
}

impl BuildupWatch {
    /// A minisock takes so many bytes, if that is known.
    pub fn new(minisock_bytes: Option<u64>) -> Self {
        Self {
            minisock_bytes,
            overflows: Overflows::default(),
            highest_share: 0.0,
            most: Vec::new(),
            count: 0,
        }
    }

    /// Namespaces that run out of room.
    pub fn look(&mut self, census: &Census, lately: &Lately, told: &Findings) -> Vec<Buildup> {
        let started = by_netns(lately);
        let left_out = self.overflows.look(census);
        let one = |(netns, looked): (&u32, &Looked)| {
            let sum = |sums: &BTreeMap<u32, u64>| sums.get(netns).copied().unwrap_or_default();
            let mut buildup = Buildup::new(*netns, looked);
            buildup.per_minute = lately.per_minute(sum(&started), RATE_OVER);
            buildup.overflows = sum(&left_out);
            buildup.memory_bytes = self.minisock_bytes.map(|it| it * buildup.minisocks);
            buildup
        };
        let mut all: Vec<Buildup> = census.namespaces.iter().map(one).collect();
        let shares = all.iter().map(Buildup::share);
        self.highest_share = shares.fold(0.0, f64::max);
        all.retain(|it| it.minisocks > 0 || it.overflows > 0);
        all.sort_by_key(|it| (Reverse(it.minisocks), it.netns));
        self.count = all.len();
        let mut place = 0;
        all.retain(|it| {
            place += 1;
            place <= MOST_ROOMY || it.is_told(told)
        });
        for buildup in &mut all {
            if let Some(looked) = census.namespaces.get(&buildup.netns) {
                buildup.makers = makers::of(buildup.netns, looked, lately, RATE_OVER);
            }
        }
        self.most = all;
        let full = self.most.iter().filter(|it| it.is_told(told));
        full.cloned().collect()
    }

    /// Namespaces that have minisocks, or left some out of late: those with the most, the most
    /// first, and how many there are.
    pub fn most(&self) -> (&[Buildup], usize) {
        (&self.most, self.count)
    }

    /// TIME_WAIT left out in all namespaces since the agent began to look.
    pub fn overflows(&self) -> u64 {
        self.overflows.all
    }

    /// The highest share of its bound that any namespace has, 0 to 1.
    pub fn highest_share(&self) -> f64 {
        self.highest_share
    }
}

impl Buildup {
    fn new(netns: u32, looked: &Looked) -> Self {
        Self {
            netns,
            limit: looked.sysctls.max_tw_buckets,
            minisocks: looked.tally.minisocks(),
            of_clients: looked.tally.busy.time_wait_of_clients,
            of_servers: looked.tally.busy.time_wait_of_servers,
            memory_bytes: None,
            per_minute: None,
            overflows: 0,
            makers: Vec::new(),
        }
    }

    /// Those of them that wait for the peer's FIN.
    pub fn fin_wait2(&self) -> u64 {
        let time_wait = self.of_clients + self.of_servers;
        self.minisocks.saturating_sub(time_wait)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sockets are far fewer than 2^52"
    )]
    fn share(&self) -> f64 {
        self.minisocks.min(self.limit) as f64 / self.limit.max(1) as f64
    }

    fn is_told(&self, told: &Findings) -> bool {
        let id = Matter::TimeWaitBuildup(self.clone()).id();
        let percent = if told.is_raised(&id) { ROOM } else { FULL };
        let is_full =
            u128::from(self.minisocks) * 100 >= u128::from(self.limit) * u128::from(percent);
        (is_full && self.minisocks > 0) || self.overflows > 0
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        let (clients, servers) = (self.of_clients, self.of_servers);
        if self.fin_wait2() > clients + servers {
            return "most of these wait in FIN_WAIT2 for peers that do not close: see that the \
                    peers close too; a smaller tcp_fin_timeout lets these go sooner (it does not \
                    shorten TIME_WAIT)";
        }
        if clients > servers {
            "clients on this host open a connection for each request and close first: keep \
             connections open (keep-alive, a pool), or let the server close first; a larger \
             tcp_max_tw_buckets costs only memory, and a smaller one takes protection away; \
             neither tcp_fin_timeout nor tcp_tw_reuse lets TIME_WAIT end sooner"
        } else {
            "a server on this host closes first: let clients keep connections open for longer \
             (its keep-alive timeout, and requests per connection) and close first; a larger \
             tcp_max_tw_buckets costs only memory, and no port; tcp_fin_timeout does not shorten \
             TIME_WAIT, and tcp_tw_reuse is for clients only"
        }
    }
}

/// How many began of late in each network namespace.
fn by_netns(lately: &Lately) -> BTreeMap<u32, u64> {
    let mut sums = BTreeMap::new();
    for (what, times) in lately.sums(Happening::TimeWait, RATE_OVER) {
        *sums.entry(what.netns).or_default() += times;
    }
    sums
}

#[cfg(test)]
mod tests;
