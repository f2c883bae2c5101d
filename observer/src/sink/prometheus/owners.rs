//! How connections ended and how many found no port, by process.
//!
//! Takes ended connections; the first processes that matter have series of their own, all others
//! share one, and what no process is known of is `unknown`.

use prometheus::local::LocalIntCounter;
use prometheus::{IntCounterVec, Registry};

use super::few::{Few, MATTERS_FROM};
use super::register::counters;
use crate::classify::{Group, Verdict};
use crate::event::Comm;
use crate::sink::names;

/// The series of one process, indexed by group.
type Ends = [LocalIntCounter; Group::ALL.len()];

/// The series.
#[derive(Debug)]
pub(super) struct Owners {
    all: IntCounterVec,
    no_port: IntCounterVec,
    most: usize,
}

/// What is counted and not yet told.
#[derive(Debug)]
pub(super) struct OwnersTally {
    all: IntCounterVec,
    unknown: Ends,
    other: Ends,
    named: Few<Comm, Ends>,
    no_port: IntCounterVec,
    no_port_of_other: LocalIntCounter,
    no_port_named: Few<Comm, LocalIntCounter>,
}

impl Owners {
    pub(super) fn new(registry: &Registry, most: usize) -> Result<Self, prometheus::Error> {
        let owners = Self {
            all: counters(registry, &names::OWNER_ENDED)?,
            no_port: counters(registry, &names::NO_PORT)?,
            most,
        };
        // Makes the series that are always there.
        drop(owners.tally());
        Ok(owners)
    }

    pub(super) fn tally(&self) -> OwnersTally {
        let Self { all, no_port, most } = self;
        OwnersTally {
            unknown: of_groups(all, names::UNKNOWN),
            other: of_groups(all, names::OTHER),
            named: Few::new(*most, MATTERS_FROM),
            all: all.clone(),
            no_port_of_other: no_port.with_label_values(&[names::OTHER]).local(),
            // One connect that fails so is one too many.
            no_port_named: Few::new(*most, 1),
            no_port: no_port.clone(),
        }
    }
}

impl OwnersTally {
    /// A connection ended, and its process closed it or, if nobody did, had opened it.
    pub(super) fn count(&mut self, verdict: &Verdict) {
        let by = verdict.closed_by.as_ref().or(verdict.opened_by.as_ref());
        let ends = match by.map(|task| task.comm) {
            None => &self.unknown,
            // A process of that name would be taken for those that have none.
            Some(comm) if is_taken(comm) => &self.other,
            Some(comm) => {
                let own = self.named.of(&comm, |comm| of_groups(&self.all, comm));
                own.unwrap_or(&self.other)
            }
        };
        if let Some(ended) = ends.get(verdict.ending.group() as usize) {
            ended.inc();
        }
    }

    /// A connect of this process found no port.
    pub(super) fn count_no_port(&mut self, verdict: &Verdict) {
        let by = verdict.opened_by.as_ref().map(|task| task.comm);
        let Some(comm) = by.filter(|comm| !is_taken(*comm)) else {
            return self.no_port_of_other.inc();
        };
        let make = |comm: &Comm| self.no_port.with_label_values(&[&**comm]).local();
        let own = self.no_port_named.of(&comm, make);
        own.unwrap_or(&self.no_port_of_other).inc();
    }

    pub(super) fn flush(&self) {
        let named = self.named.all().iter().flatten();
        let ended = named.chain(&self.unknown).chain(&self.other);
        let no_port = self.no_port_named.all();
        let no_port = no_port.iter().chain([&self.no_port_of_other]);
        ended.chain(no_port).for_each(LocalIntCounter::flush);
    }
}

/// Whether it is the label of those that have no series.
fn is_taken(comm: Comm) -> bool {
    [names::OTHER, names::UNKNOWN].contains(&&*comm)
}

fn of_groups(all: &IntCounterVec, comm: &str) -> Ends {
    Group::ALL.map(|group| all.with_label_values(&[comm, group.label()]).local())
}
