//! CLOSE_WAIT leaks as `tcp-observer leaks` shows them.
//!
//! Takes a [`Report`]; gives plain text ([`text`]) or one JSON object ([`json`]).

pub mod json;

pub mod text;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::detect::{Leak, Owner, Service};
use crate::sink::page::printable;

/// What one look at the host found.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// When it was taken.
    pub taken_at: jiff::Timestamp,
    /// From this age on a socket in CLOSE_WAIT counts as leaked.
    pub after: Duration,
    /// Sockets in CLOSE_WAIT, however young.
    pub close_wait: u64,
    /// The leaks, the largest first.
    pub leaks: &'a [Leak],
    /// Why it is not whole, one sentence each.
    pub missing: &'a [String],
}

/// What a look from outside can never tell.
pub const LIMITS: &str = "Ages are lower bounds: the kernel does not keep when a FIN came, only \
                          when the last acknowledgement did. `tcp-observer run` sees the FIN and \
                          who accepted or connected.";

impl Report<'_> {
    /// Sockets that count as leaked.
    pub fn leaked(&self) -> usize {
        self.leaks.iter().map(|leak| leak.count).sum()
    }
}

/// `python3 in shop.service holds 3 connections to local port 8080`.
pub fn title(leak: &Leak) -> String {
    let (owner, service) = (owner(&leak.owner), service(leak.service));
    let connections = connections(leak.count);
    if leak.accepted {
        format!("{owner} holds {connections} {service}")
    } else {
        format!("{owner} has not accepted {connections} {service}")
    }
}

/// `3 connections`.
pub(super) fn connections(count: usize) -> String {
    let word = if count == 1 {
        "connection"
    } else {
        "connections"
    };
    format!("{count} {word}")
}

/// `python3 in myapp.service`.
pub(super) fn owner(owner: &Owner) -> String {
    let comm = match owner {
        Owner::Held { comm, .. } => printable(comm),
        Owner::NotFound => return "a process that was not found".to_owned(),
    };
    let workload = owner.workload();
    let mut place = Vec::new();
    place.extend(workload.unit.as_deref().map(printable));
    let short = |id: &str| printable(id.get(..12).unwrap_or(id));
    place.extend(
        workload
            .container
            .map(|id| format!("container {}", short(&id))),
    );
    place.extend(workload.pod.map(|uid| format!("pod {}", printable(&uid))));
    if place.is_empty() {
        comm
    } else {
        format!("{comm} in {}", place.join(", "))
    }
}

/// `to local port 8080`.
pub(in crate::sink) fn service(service: Service) -> String {
    match service {
        Service::Local(port) => format!("to local port {port}"),
        Service::Remote(peer) => format!("to {peer}"),
        Service::ManyRemotes => "to many remote services".to_owned(),
    }
}
