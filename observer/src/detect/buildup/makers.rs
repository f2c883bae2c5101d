//! Which services have the TIME_WAITs of a namespace, and who closed first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::census::Looked;
use crate::detect::{Happening, Lately, Service};

/// Services told one by one.
const MOST: usize = 10;

/// Processes told of one service.
const MOST_NAMES: usize = 5;

/// TIME_WAIT of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Maker {
    /// The service; of clients with very many, all that are not told on their own.
    pub service: Service,
    /// How many there are.
    pub time_wait: u64,
    /// How many came a minute, of late.
    pub per_minute: Option<f64>,
    /// The processes that closed first, most first, and how often in the last minute or a little
    /// more; none if that was not seen.
    pub closed_by: Vec<(Box<str>, u64)>,
}

/// The services with the most, most first.
pub(super) fn of(netns: u32, looked: &Looked, lately: &Lately, over: Duration) -> Vec<Maker> {
    let mut waiting = most(&populations(looked));
    let mut seen: BTreeMap<Service, BTreeMap<&str, u64>> = BTreeMap::new();
    for (what, times) in lately.sums(Happening::TimeWait, over) {
        if what.netns != netns {
            continue;
        }
        let Some(service) = what.service else {
            continue;
        };
        let service = match service {
            Service::Remote(_) if !waiting.contains_key(&service) => Service::ManyRemotes,
            Service::Remote(_) | Service::Local(_) | Service::ManyRemotes => service,
        };
        let comm = what.comm.as_deref().unwrap_or_default();
        *seen.entry(service).or_default().entry(comm).or_default() += times;
    }
    waiting.retain(|_, time_wait| *time_wait > 0);
    let maker = |(service, time_wait)| {
        let by = seen.remove(&service).unwrap_or_default();
        Maker {
            service,
            time_wait,
            per_minute: lately.per_minute(by.values().sum(), over),
            closed_by: names(&by),
        }
    };
    let mut makers: Vec<Maker> = waiting.into_iter().map(maker).collect();
    makers.sort_by_key(|it| (Reverse(it.time_wait), it.service));
    makers
}

fn populations(looked: &Looked) -> BTreeMap<Service, u64> {
    let mut populations = BTreeMap::new();
    let busy = &looked.tally.busy;
    for (destination, ports) in busy.destinations(1) {
        *populations
            .entry(Service::Remote(destination.peer))
            .or_default() += u64::from(ports.time_wait);
    }
    let served = busy.served(1);
    populations.extend(served.map(|(port, count)| (Service::Local(port), u64::from(count))));
    populations
}

/// Those with the most. What else clients have is added up; other served ports are left out.
fn most(populations: &BTreeMap<Service, u64>) -> BTreeMap<Service, u64> {
    let mut all: Vec<(Service, u64)> = populations
        .iter()
        .map(|(it, count)| (*it, *count))
        .collect();
    all.sort_by_key(|(service, count)| (Reverse(*count), *service));
    let rest = all.split_off(all.len().min(MOST));
    let is_remote = |(service, _): &&(Service, u64)| matches!(service, Service::Remote(_));
    let others = rest.iter().filter(is_remote).map(|(_, count)| count).sum();
    all.push((Service::ManyRemotes, others));
    all.into_iter().collect()
}

/// The names with the most, most first; of what has none, nothing.
fn names(by: &BTreeMap<&str, u64>) -> Vec<(Box<str>, u64)> {
    let named = by.iter().filter(|(name, _)| !name.is_empty());
    let mut names: Vec<(&&str, &u64)> = named.collect();
    names.sort_by_key(|(name, times)| (Reverse(**times), **name));
    let most = names.into_iter().take(MOST_NAMES);
    most.map(|(name, times)| ((*name).into(), *times)).collect()
}
