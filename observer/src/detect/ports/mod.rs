//! Local ports that are left for one destination.
//!
//! Takes what the census counted; gives a [`Headroom`] for each destination that runs out, or
//! soon will. The kernel gives a client any port of `ip_local_port_range` that no connection
//! with the same addresses and destination port has; where none is left, connect() fails with
//! EADDRNOTAVAIL (`__inet_hash_connect`).

mod clients;

mod failing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Findings, Lately, Matter};
use crate::census::process::Process;
use crate::census::{Census, Destination, Looked, Ports, TwReuse};
use crate::event::Timestamp;
use clients::Clients;

/// A destination with fewer ports in use is not followed.
const LEAST_USED: u32 = 16;

/// Raised when so few of the ports are left, in percent; over when twice as many are.
const FEW: u32 = 10;

/// Raised too when at the present rate none is left within this time, and half are gone.
const SOON: Duration = Duration::from_mins(10);

/// Destinations of which the headroom is kept though they have enough.
const MOST_KEPT: usize = 100;

/// Over which the present rate is told.
const RATE_OVER: Duration = Duration::from_mins(1);

/// Ports left for clients of one destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Headroom {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The local address and the service; the address is unspecified where connects fail and
    /// no connection was found.
    pub destination: Destination,
    /// Ports that the kernel can give.
    pub all: u32,
    /// In use.
    pub ports: Ports,
    /// In use, and none of them can be taken by a connect.
    pub taken: u32,
    /// In how long none is left at the present rate, if they get fewer.
    pub exhausted_in: Option<Duration>,
    /// `tcp_tw_reuse`.
    pub tw_reuse: TwReuse,
    /// Connects to the service that found no port in the last minutes.
    pub failed: u64,
    /// Processes that connect to the service, as far as they closed first or found no port in the
    /// last minutes; most first.
    pub clients: Vec<Box<str>>,
    /// Processes that hold one of the open connections now.
    pub holders: Vec<Process>,
}

/// Destinations that are followed.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// How many.
    pub count: usize,
    /// Those with the highest share of their ports taken, that first.
    pub fullest: Vec<Headroom>,
}

/// Follows destinations from census to census.
#[derive(Debug, Default)]
pub struct PortWatch {
    taken: HashMap<(u32, Destination), Vec<(Timestamp, u32)>>,
    /// By service, the highest first.
    shares: Vec<(SocketAddr, f64)>,
    /// Those of the last census with the highest share, that first.
    kept: Vec<Headroom>,
}

impl PortWatch {
    /// Destinations that run out of ports, the fewest left first.
    pub fn look(&mut self, census: &Census, lately: &Lately, told: &Findings) -> Vec<Headroom> {
        let mut before = std::mem::take(&mut self.taken);
        let (mut few, mut all) = (Vec::new(), Vec::new());
        let mut shares: HashMap<SocketAddr, f64> = HashMap::new();
        let clients = clients::of(lately);
        for (netns, looked) in &census.namespaces {
            let mut enough = Vec::new();
            for (destination, ports) in looked.tally.busy.destinations(1) {
                let clients = clients.get(&(*netns, destination.peer));
                let failing = clients.is_some_and(|it| it.failed > 0);
                if ports.open + ports.time_wait < LEAST_USED && !failing {
                    continue;
                }
                let mut headroom = Headroom::new(*netns, *destination, *ports, looked);
                let key = (*netns, *destination);
                let mut history = before.remove(&key).unwrap_or_default();
                history.retain(|(at, _)| looked.from.since(*at) <= RATE_OVER);
                history.push((looked.from, headroom.taken));
                headroom.exhausted_in = headroom.at_rate_of(&history);
                self.taken.insert(key, history);
                let share = shares.entry(destination.peer).or_default();
                *share = share.max(headroom.share_taken());
                all.push(headroom.clone());
                if headroom.is_short(told) {
                    few.push(headroom);
                } else if failing {
                    enough.push(headroom);
                }
            }
            let failing = clients::failing(&clients, *netns);
            few.extend(failing::without_reason(
                *netns, looked, failing, &few, enough,
            ));
        }
        self.kept = highest(all);
        for headroom in few.iter_mut().chain(&mut self.kept) {
            let seen = clients.get(&(headroom.netns, headroom.destination.peer));
            headroom.failed = seen.map(|it| it.failed).unwrap_or_default();
            headroom.clients = seen.map(Clients::names).unwrap_or_default();
        }
        few.sort_by_key(|it| (it.left(), it.netns, it.destination));
        self.shares = shares.into_iter().collect();
        self.shares
            .sort_by(|(one, share), (other, than)| than.total_cmp(share).then(one.cmp(other)));
        few
    }

    /// The highest share of the ports that is taken for any one destination, 0 to 1.
    pub fn highest_share(&self) -> f64 {
        self.shares.first().map_or(0.0, |(_, share)| *share)
    }

    /// The services with the highest share, and that.
    pub fn fullest(&self, most: usize) -> Vec<(String, f64)> {
        let first = self.shares.iter().take(most);
        first
            .map(|(peer, share)| (peer.to_string(), *share))
            .collect()
    }

    /// All that were followed at the last census.
    pub fn followed(&self) -> Followed {
        Followed {
            count: self.taken.len(),
            fullest: self.kept.clone(),
        }
    }
}

/// Those with the highest share, that first.
fn highest(mut all: Vec<Headroom>) -> Vec<Headroom> {
    all.sort_by(|a, b| {
        let share = b.share_taken().total_cmp(&a.share_taken());
        share.then_with(|| (a.netns, a.destination).cmp(&(b.netns, b.destination)))
    });
    all.truncate(MOST_KEPT);
    all
}

impl Headroom {
    fn new(netns: u32, destination: Destination, ports: Ports, looked: &Looked) -> Self {
        let tw_reuse = looked.sysctls.tw_reuse;
        let loopback = destination.source.is_loopback() || destination.peer.ip().is_loopback();
        let reusable = match tw_reuse {
            TwReuse::Yes => true,
            TwReuse::LoopbackOnly => loopback,
            TwReuse::No => false,
        };
        let held = if reusable {
            ports.young
        } else {
            ports.time_wait
        };
        Self {
            netns,
            destination,
            all: looked.sysctls.ephemeral_ports(),
            ports,
            taken: ports.open + held,
            exhausted_in: None,
            tw_reuse,
            failed: 0,
            clients: Vec::new(),
            holders: Vec::new(),
        }
    }

    /// In use.
    pub fn used(&self) -> u32 {
        self.ports.open + self.ports.time_wait
    }

    /// How many the kernel can still give.
    pub fn left(&self) -> u32 {
        self.all.saturating_sub(self.taken)
    }

    /// In use, of all that the kernel can give: 0 to 1.
    pub fn share_taken(&self) -> f64 {
        f64::from(self.taken.min(self.all)) / f64::from(self.all.max(1))
    }

    fn at_rate_of(&self, history: &[(Timestamp, u32)]) -> Option<Duration> {
        let (&(first, from), &(last, to)) = (history.first()?, history.last()?);
        let grown = to.checked_sub(from).filter(|grown| *grown > 0)?;
        let per_port = last.since(first) / grown;
        (!per_port.is_zero()).then(|| per_port.saturating_mul(self.left()))
    }

    fn is_short(&self, told: &Findings) -> bool {
        let is_left =
            |percent: u32| u64::from(self.left()) * 100 <= u64::from(self.all) * u64::from(percent);
        let id = Matter::PortExhaustion(self.clone()).id();
        let few = if told.is_raised(&id) { 2 * FEW } else { FEW };
        let soon = self.exhausted_in.is_some_and(|time| time <= SOON);
        is_left(few) || (soon && is_left(50))
    }

    /// A part of a finding's id.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.destination.source, self.destination.peer)
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        if self.failed > 0 && self.left() > self.all / 2 {
            return "connects found no free port though connections hold few: other sockets are \
                    bound to the ports (bind() before connect() takes a port for all destinations; \
                    IP_BIND_ADDRESS_NO_PORT leaves the choice to connect), or they were taken for \
                    a moment: `ss -tan` shows what listens or is connected in its own network \
                    namespace (`nsenter -t PID -n ss -tan` for another), and `ss --bound-inactive` \
                    (Linux 6.8 and a new ss) what is bound and does neither";
        }
        let mostly_time_wait = self.ports.time_wait > self.ports.open;
        match (mostly_time_wait, self.tw_reuse) {
            (false, _) => {
                "the client holds most of these ports open: close what it does not use, or use \
                 fewer connections at once (a pool with a limit, HTTP/2); more addresses of either \
                 side, or a wider ip_local_port_range, give more ports"
            }
            (true, TwReuse::Yes) => {
                "connections come faster than one a second and port: keep them open (keep-alive, \
                 a pool); more addresses of either side, or a wider ip_local_port_range, give more \
                 ports; tcp_fin_timeout does not shorten TIME_WAIT"
            }
            (true, TwReuse::No | TwReuse::LoopbackOnly) => {
                "the client opens a connection for each request and closes first, and each port \
                 waits 60 s: keep connections open (keep-alive, a pool), or let the server close \
                 first; tcp_tw_reuse=1 lets connect() take ports of TIME_WAIT after a second, if \
                 both sides use timestamps; tcp_fin_timeout does not shorten TIME_WAIT"
            }
        }
    }
}

#[cfg(test)]
mod tests;
