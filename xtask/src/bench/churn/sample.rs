//! One run of the load, and what it found.
//!
//! Takes what the load made and what a watcher says; gives the cost of one connection.

use anyhow::Result;
use serde::Serialize;

use super::contenders::Contender;
use crate::bench::load::{Churn, Made};
use crate::bench::stats::number;

/// What a load is to make while somebody watches.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) load: &'a mut Churn,
    pub(super) connections: u64,
}

impl Work<'_> {
    pub(super) fn go(&mut self) -> Result<Made> {
        self.load.go(self.connections)
    }
}

/// One run of the load under one contender.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) contender: Contender,
    /// What the load made and cost.
    pub(super) made: Made,
    /// What one connection cost with nobody watching, just before and just after, ns; 0 if that
    /// was not looked at.
    pub(super) bare_ns: f64,
    /// CPU of the contender's own processes, ns.
    pub(super) own_ns: u64,
    /// Lines of a tool, or connection ends of the agent.
    pub(super) told: u64,
    /// Events that the contender says it lost.
    pub(super) said_lost: u64,
    /// Events that the agent had, or records of a shape.
    pub(super) events: u64,
    /// Bytes of a shape's records in the ring.
    pub(super) bytes: u64,
}

impl Sample {
    /// CPU of the load for one connection, ns.
    pub(super) fn each_ns(&self) -> f64 {
        self.made.each_ns()
    }

    /// Both runs as one, but for what bare cost beside them.
    pub(super) fn and(self, more: Self) -> Self {
        Self {
            made: self.made.and(more.made),
            own_ns: self.own_ns + more.own_ns,
            told: self.told + more.told,
            said_lost: self.said_lost + more.said_lost,
            events: self.events + more.events,
            bytes: self.bytes + more.bytes,
            ..self
        }
    }

    /// CPU that the contender added to it, ns.
    pub(super) fn added_ns(&self) -> f64 {
        self.each_ns() - self.bare_ns
    }

    /// The contender's own CPU for one connection, ns.
    pub(super) fn own_each_ns(&self) -> f64 {
        number(self.own_ns) / number(self.made.connections)
    }

    /// What the agent lost: events, or ends that no event told of.
    pub(super) fn lost(&self) -> u64 {
        let untold = (2 * self.made.connections).saturating_sub(self.told);
        self.said_lost.max(untold)
    }
}
