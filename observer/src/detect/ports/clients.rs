//! Who connects to a destination, and whose connects found no port.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::detect::{Happening, Lately, Service};
use crate::event::Comm;

/// What is told of the last minutes.
const OVER: Duration = Duration::from_mins(5);

/// Processes told of one destination.
const MOST_NAMES: usize = 5;

/// What was seen of the clients of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clients {
    /// Connects that found no port.
    pub(super) failed: u64,
    by_comm: BTreeMap<Comm, u64>,
}

/// By network namespace and service.
pub(super) fn of(lately: &Lately) -> BTreeMap<(u32, SocketAddr), Clients> {
    let mut all: BTreeMap<_, Clients> = BTreeMap::new();
    for happening in [Happening::TimeWait, Happening::NoPort] {
        for (what, times) in lately.sums(happening, OVER) {
            let Some(Service::Remote(peer)) = what.service else {
                continue;
            };
            let clients = all.entry((what.netns, peer)).or_default();
            if happening == Happening::NoPort {
                clients.failed += times;
            }
            if let Some(comm) = &what.comm {
                *clients.by_comm.entry(*comm).or_default() += times;
            }
        }
    }
    all
}

/// Services in this namespace that connects found no port for.
pub(super) fn failing(
    all: &BTreeMap<(u32, SocketAddr), Clients>,
    netns: u32,
) -> impl Iterator<Item = SocketAddr> {
    let here = all.iter().filter(move |((it, _), _)| *it == netns);
    here.filter(|(_, clients)| clients.failed > 0)
        .map(|((_, peer), _)| *peer)
}

impl Clients {
    /// The names of their processes, those that did most first.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        let mut names: Vec<(&Comm, &u64)> = self.by_comm.iter().collect();
        names.sort_by_key(|(_, times)| Reverse(**times));
        let most = names.into_iter().take(MOST_NAMES);
        most.map(|(name, _)| Box::from(&**name)).collect()
    }
}
