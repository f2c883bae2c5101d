//! One look at every network namespace of the host.
//!
//! Takes how much is of interest; gives a [`Tally`] for each namespace, and says where it
//! could not look and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::diag::Detail;
use super::namespaces::{self, Namespace};
use super::process::{NEEDED, processes};
use super::{Orphans, Sought, Sysctls, Tally, diag, hidden};
use crate::audit::{Counter, Counts};
use crate::clock::Clock;
use crate::event::{State, Timestamp};
use crate::selection::Wanted;

/// What was found in one network namespace.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What led to it.
    pub path: PathBuf,
    /// Just before the kernel was asked.
    pub from: Timestamp,
    /// Just after.
    pub to: Timestamp,
    /// What that took of a CPU.
    pub cpu: Duration,
    /// Its sockets.
    pub tally: Tally,
    /// What bounds them.
    pub sysctls: Sysctls,
    /// Those of the whole host, if this is its first namespace.
    pub orphans: Option<Orphans>,
    /// TIME_WAIT that the kernel left out since the namespace was made, by its own counter.
    pub overflows: Option<u64>,
}

/// All namespaces, and what could not be seen.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// By inode number.
    pub namespaces: BTreeMap<u32, Looked>,
    /// What it took of a CPU.
    pub cpu: Duration,
    /// Namespaces that exist and could not be looked into.
    pub failed: BTreeSet<u32>,
    /// Why it is not whole, one sentence each; empty if it is.
    pub missing: Vec<String>,
}

impl Census {
    /// Orphans of the host, if its first namespace was looked into.
    pub fn orphans(&self) -> Option<Orphans> {
        self.namespaces.values().find_map(|it| it.orphans)
    }
}

/// States in which a socket waits for one side or the other.
const CLOSING: &[State] = &[
    State::CloseWait,
    State::FinWait1,
    State::FinWait2,
    State::Closing,
    State::LastAck,
];

/// States that are counted, and hold a port.
const OPEN: &[State] = &[State::Established, State::SynSent, State::TimeWait];

/// How much is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Listeners, and what waits for this side's close.
    CloseWait,
    /// Everything: closing sockets one by one, all others counted.
    All,
}

/// Looks at every namespace, and for these connections among what is open ([`Scope::All`] only).
/// Of what is not wanted it only counts.
pub fn look(scope: Scope, wanted: &Wanted, sought: &mut Sought, clock: &Clock) -> Census {
    let mut census = Census::default();
    let found = match namespaces::find() {
        Ok(found) => found,
        Err(error) => {
            let sentence = format!("any network namespace: {error}; is /proc mounted?");
            census.missing.push(sentence);
            return census;
        }
    };
    census.missing.extend(hidden::reasons());
    if !found.unreadable.is_empty() {
        census.missing.push(format!(
            "the network namespace of {}; {NEEDED}",
            processes(&found.unreadable)
        ));
    }
    if let Some(first) = found.hidden.first() {
        let (count, path) = (found.hidden.len(), first.display());
        census.missing.push(format!(
            "{count} mounted network namespaces, {path} among them; that needs root"
        ));
    }
    for (inode, error) in &found.failed {
        census.failed.insert(*inode);
        let sentence = format!("the network namespace with inode {inode}: {error}");
        census.missing.push(sentence);
    }
    let mut kept = 0;
    for (inode, namespace) in &found.namespaces {
        let tally = Tally::after(kept);
        match look_into((namespace, wanted), scope, (tally, &mut *sought), clock) {
            Ok(looked) => {
                kept += looked.tally.kept();
                census.cpu += looked.cpu;
                census.missing.extend(looked.tally.missing(*inode));
                census.namespaces.insert(*inode, looked);
            }
            Err(why) => {
                census.failed.insert(*inode);
                let path = namespace.path.display();
                let sentence = format!("the network namespace {path}: {why}");
                census.missing.push(sentence);
            }
        }
    }
    census
}

fn look_into(
    (namespace, wanted): (&Namespace, &Wanted),
    scope: Scope,
    (mut tally, sought): (Tally, &mut Sought),
    clock: &Clock,
) -> Result<Looked, String> {
    let there = || {
        let cpu = Clock::thread_cpu();
        let sysctls = Sysctls::read();
        let from = clock.now();
        // Listeners first: they tell whom the others serve.
        let mut asked = vec![(&[State::Listen][..], Detail::Outside)];
        match scope {
            Scope::CloseWait => asked.push((&[State::CloseWait], Detail::Inside)),
            Scope::All => asked.extend([(CLOSING, Detail::Inside), (OPEN, Detail::Outside)]),
        }
        for (states, detail) in asked {
            let dumped = diag::dump(states, detail, |seen| {
                // A minisock is what stays of one that is gone.
                if seen.minisock.is_none() {
                    sought.found(namespace.inode, seen.ends);
                }
                if wanted.has(namespace.inode, &seen) {
                    tally.add(seen, &sysctls);
                } else {
                    tally.count_only(seen, &sysctls);
                }
            });
            dumped.map_err(|error| error.to_string())?;
        }
        Ok(Looked {
            path: namespace.path.clone(),
            from,
            to: clock.now(),
            // The own namespace is looked into by the thread that looks into all.
            cpu: Clock::thread_cpu().saturating_sub(cpu),
            tally,
            sysctls,
            orphans: Orphans::read(),
            overflows: overflows(),
        })
    };
    match namespace.inside(there) {
        Ok(looked) => looked,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err("that needs CAP_SYS_ADMIN; run as root".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// `TCPTimeWaitOverflow` of the namespace that the calling thread is in.
fn overflows() -> Option<u64> {
    let netstat = fs::read_to_string("/proc/thread-self/net/netstat").ok()?;
    Counts::parse("", &netstat).get(Counter::TimeWaitOverflow)
}
