//! Keep-alive races: a server closes an idle connection, and a request is on its way.
//!
//! The server answers it with a reset, so the client does not know whether it was processed
//! (RFC 9112 §9.3.1: a client retries only what is idempotent).

use std::collections::BTreeMap;

use super::{MOST_NAMED, OVER, largest};
use crate::detect::{Findings, Happening, Lately, Matter, Service};

/// Raised with so many in the last minute; over with none.
const MANY: u64 = 3;

/// Requests that crossed the close of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The server's port.
    pub port: u16,
    /// How many there were in the last minute.
    pub count: u64,
    /// Who closed, as far as that was seen.
    pub closed_by: Vec<(String, u64)>,
}

pub(super) fn look(lately: &Lately, told: &Findings) -> Vec<Matter> {
    let mut ports: BTreeMap<(u32, u16), BTreeMap<Option<String>, u64>> = BTreeMap::new();
    for (what, count) in lately.sums(Happening::KeepaliveRace, OVER) {
        if let Some(Service::Local(port)) = what.service {
            let by = ports.entry((what.netns, port)).or_default();
            *by.entry(what.comm.as_deref().map(str::to_owned))
                .or_default() += count;
        }
    }
    let race = |((netns, port), by): (_, BTreeMap<Option<String>, u64>)| {
        let count = by.values().sum();
        let named = by.into_iter();
        let named = named.filter_map(|(comm, count)| Some((comm?, count)));
        let race = Race {
            netns,
            port,
            count,
            closed_by: largest(named.collect(), MOST_NAMED),
        };
        let matter = Matter::KeepaliveRace(race);
        let enough = if told.is_raised(&matter.id()) {
            1
        } else {
            MANY
        };
        (count >= enough).then_some(matter)
    };
    ports.into_iter().filter_map(race).collect()
}

impl Race {
    /// A part of a finding's id.
    pub(in crate::detect) fn id(&self) -> String {
        Service::Local(self.port).id()
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        "the server closed connections on which the client still sent: set the client's, or the \
         load balancer's, idle timeout below the server's keep-alive timeout, so that the client \
         closes first; let clients retry what may be sent twice; a server that stops on purpose \
         announces it (Connection: close, GOAWAY) before it closes"
    }
}
