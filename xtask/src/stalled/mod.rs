//! Closes that hang, and resets, made on purpose; and what an agent must find of them.
//!
//! Takes a network namespace that the calling thread is in; gives findings as JSON pointers and
//! values, and a way to mend what was made. Never judges.

mod hanging;
mod orphaned;
mod reset;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

pub use crate::scenario::link::no_veth;
pub use hanging::{cable_cut, half_closed, window_shut};
pub use orphaned::orphans;
pub use reset::{listener_closed, race, storm};

/// As many stalled connections of one service as are told, and some.
const CROWD: usize = 12;

/// What was made.
pub struct Stalled {
    /// What must be found.
    pub told: Vec<Told>,
    mend: Box<dyn FnOnce() -> Result<()>>,
}

/// One finding.
#[derive(Debug)]
pub struct Told {
    /// Its kind.
    pub kind: &'static str,
    /// Its network namespace; `None` if it is the host's.
    pub netns: Option<u64>,
    /// JSON pointers into it, and what is there.
    pub facts: Vec<(&'static str, Value)>,
    /// Between which moments its oldest socket began to wait, where it has one.
    pub since: Option<Range<Instant>>,
}

impl fmt::Debug for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stalled = f.debug_struct("Stalled");
        stalled.field("told", &self.told).finish_non_exhaustive()
    }
}

impl Stalled {
    /// Nothing stalls any more.
    pub fn end(self) -> Result<()> {
        (self.mend)()
    }

    fn new(told: Vec<Told>, mend: impl FnOnce() -> Result<()> + 'static) -> Self {
        Self {
            told,
            mend: Box::new(mend),
        }
    }
}

fn listener() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

fn told(
    kind: &'static str,
    netns: u64,
    facts: Vec<(&'static str, Value)>,
    since: Option<Range<Instant>>,
) -> Told {
    Told {
        kind,
        netns: Some(netns),
        facts,
        since,
    }
}
