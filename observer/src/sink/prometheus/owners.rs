//! How connections ended and how many found no port, by process.
//!
//! Takes ended connections; the first processes that matter have series of their own, all others
//! share one, and what no process is known of is `unknown`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::few::{Few, MATTERS_FROM};
use super::register::counters;
use crate::classify::{Group, Verdict};
use crate::sink::names;

/// The series of one process, indexed by group.
type Ends = Vec<IntCounter>;

/// The series.
#[derive(Debug)]
pub(super) struct Owners {
    all: IntCounterVec,
    unknown: Ends,
    other: Ends,
    named: Mutex<Few<Box<str>, Ends>>,
    no_port: IntCounterVec,
    no_port_of_other: IntCounter,
    no_port_named: Mutex<Few<Box<str>, IntCounter>>,
}

impl Owners {
    pub(super) fn new(registry: &Registry, most: usize) -> Result<Self, prometheus::Error> {
        let all = counters(registry, &names::OWNER_ENDED)?;
        let no_port = counters(registry, &names::NO_PORT)?;
        Ok(Self {
            unknown: of_groups(&all, names::UNKNOWN),
            other: of_groups(&all, names::OTHER),
            named: Mutex::new(Few::new(most, MATTERS_FROM)),
            all,
            no_port_of_other: no_port.with_label_values(&[names::OTHER]),
            // One connect that fails so is one too many.
            no_port_named: Mutex::new(Few::new(most, 1)),
            no_port,
        })
    }

    /// A connection ended, and its process closed it or, if nobody did, had opened it.
    pub(super) fn count(&self, verdict: &Verdict) {
        let by = verdict.closed_by.as_ref().or(verdict.opened_by.as_ref());
        let group = verdict.ending.group() as usize;
        let ends = |ends: &Ends| ends.get(group).map(IntCounter::inc);
        match by.map(|task| &*task.comm) {
            None => ends(&self.unknown),
            // A process of that name would be taken for those that have none.
            Some(names::OTHER | names::UNKNOWN) => ends(&self.other),
            Some(comm) => {
                let mut named = lock(&self.named);
                let own = named.of(comm, |comm| comm.into(), |comm| of_groups(&self.all, comm));
                ends(own.unwrap_or(&self.other))
            }
        };
    }

    /// A connect of this process found no port.
    pub(super) fn count_no_port(&self, verdict: &Verdict) {
        let by = verdict.opened_by.as_ref().map(|task| &*task.comm);
        let is_own = |comm: &&str| ![names::OTHER, names::UNKNOWN].contains(comm);
        let Some(comm) = by.filter(is_own) else {
            return self.no_port_of_other.inc();
        };
        let mut named = lock(&self.no_port_named);
        let make = |comm: &str| self.no_port.with_label_values(&[comm]);
        let own = named.of(comm, |comm| comm.into(), make);
        own.unwrap_or(&self.no_port_of_other).inc();
    }
}

fn of_groups(all: &IntCounterVec, comm: &str) -> Ends {
    Group::ALL
        .map(|group| all.with_label_values(&[comm, group.label()]))
        .to_vec()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
