//! What the last census found, as series.
//!
//! Takes a census and what was concluded from it; gives all of it at once to whoever scrapes, so
//! that no page mixes two censuses. Processes and destinations with most have series of their own
//! for as long as they have most.

mod shown;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use self::shown::Shown;
use super::Bounds;
use super::register::{counter, series};
use crate::census::Census;
use crate::detect::{BuildupWatch, Findings, Kind, Matter, PortWatch, Watch};
use crate::event::State;
use crate::sink::names;

/// States that are counted.
pub(super) const STATES: [State; 9] = [
    State::Established,
    State::SynSent,
    State::CloseWait,
    State::FinWait1,
    State::FinWait2,
    State::Closing,
    State::LastAck,
    State::TimeWait,
    State::Listen,
];

/// The series of the census.
#[derive(Debug)]
pub struct CensusSeries {
    page: Page,
    bounds: Bounds,
    time_wait_overflows: IntCounter,
    /// In the order of [`names::CORRECTIONS`].
    corrections: Vec<IntCounter>,
}

/// What those found who watch from census to census.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// Sockets in CLOSE_WAIT.
    pub close_wait: &'a Watch,
    /// Local ports.
    pub ports: &'a PortWatch,
    /// TIME_WAIT.
    pub buildups: &'a BuildupWatch,
}

impl CensusSeries {
    pub(super) fn new(registry: &Registry, bounds: Bounds) -> Result<Self, prometheus::Error> {
        let page = Page::new(&Shown::default())?;
        registry.register(Box::new(page.clone()))?;
        Ok(Self {
            page,
            bounds,
            time_wait_overflows: counter(registry, &names::TIME_WAIT_OVERFLOWS)?,
            corrections: series(registry, &names::CENSUS_CORRECTIONS, names::CORRECTIONS)?,
        })
    }

    /// Shows what this census found, which was over at this time and took so long.
    pub fn publish(
        &self,
        census: &Census,
        findings: &Findings,
        watched: Watched<'_>,
        (at, took): (jiff::Timestamp, Duration),
    ) {
        let matters = || findings.all().values().map(|it| &it.matter);
        let looked = census.namespaces.values();
        let busy = looked.clone().map(|it| &it.tally.busy);
        let (leaked, oldest) = self.leaked(findings);
        self.page.show(&Shown {
            sockets: STATES.map(|state| looked.clone().map(|it| it.tally.count(state)).sum()),
            findings: Kind::ALL.map(|kind| matters().filter(|it| it.kind() == kind).count() as u64),
            leaked,
            oldest,
            ports_taken: watched.ports.highest_share(),
            destinations: watched.ports.fullest(self.bounds.destinations),
            time_wait_of_clients: busy.clone().map(|it| it.time_wait_of_clients).sum(),
            time_wait_of_servers: busy.map(|it| it.time_wait_of_servers).sum(),
            time_wait_share: watched.buildups.highest_share(),
            whole: census.missing.is_empty(),
            at: at.as_duration().as_secs_f64(),
            took: took.as_secs_f64(),
        });
        raise(&self.time_wait_overflows, watched.buildups.overflows());
        if let [_, counter] = &self.corrections[..] {
            raise(counter, watched.close_wait.missed());
        }
    }

    /// Leaked sockets by process, and the age of the oldest.
    fn leaked(&self, findings: &Findings) -> (Vec<(String, u64)>, Duration) {
        let mut oldest = Duration::ZERO;
        let mut by_comm: BTreeMap<&str, u64> = BTreeMap::new();
        for matter in findings.all().values().map(|it| &it.matter) {
            if let Matter::CloseWaitLeak(leak) = matter {
                let comm = leak.owner.comm().unwrap_or(names::OTHER);
                *by_comm.entry(comm).or_default() += leak.count as u64;
                oldest = oldest.max(leak.oldest.time);
            }
        }
        let [other, unknown] = [names::OTHER, names::UNKNOWN].map(|comm| by_comm.remove(comm));
        let mut other = other.unwrap_or_default() + unknown.unwrap_or_default();
        let mut most: Vec<(&str, u64)> = by_comm.into_iter().collect();
        most.sort_by_key(|(_, count)| Reverse(*count));
        let rest = most.split_off(most.len().min(self.bounds.owners));
        other += rest.iter().map(|(_, count)| count).sum::<u64>();
        most.push((names::OTHER, other));
        let owned = |(comm, count): (&str, u64)| (comm.to_owned(), count);
        (most.into_iter().map(owned).collect(), oldest)
    }

    /// Connections that the kernel no longer had.
    pub fn count_ghosts(&self, ghosts: u64) {
        if let [counter, _] = &self.corrections[..] {
            counter.inc_by(ghosts);
        }
    }
}

/// A counter that somebody else keeps.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// The gauges of one census, whole.
#[derive(Clone, Debug)]
struct Page {
    descriptions: Vec<Desc>,
    families: Arc<Mutex<Vec<MetricFamily>>>,
}

impl Page {
    fn new(shown: &Shown) -> Result<Self, prometheus::Error> {
        let (descriptions, families) = shown.families()?;
        Ok(Self {
            descriptions,
            families: Arc::new(Mutex::new(families)),
        })
    }

    fn show(&self, shown: &Shown) {
        // Their names were good enough for the first.
        if let Ok((_, families)) = shown.families() {
            *self.lock() = families;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<MetricFamily>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Page {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.lock().clone()
    }
}
