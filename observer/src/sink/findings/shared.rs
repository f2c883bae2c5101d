//! Parts that several findings have.

use std::fmt::Display;

use serde::Serialize;

use crate::detect::{Age, Service, Stuck};
use crate::sink::leaks::json::{By, port_or_remote};
use crate::sink::page::printable;

/// Something named, and how many of the connections have it.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    name: String,
    count: u64,
}

/// Each with how many connections have it.
pub(super) fn counts<T: Display>(named: &[(T, u64)]) -> Vec<Count> {
    let count = |(name, count): &(T, u64)| Count {
        name: name.to_string(),
        count: *count,
    };
    named.iter().map(count).collect()
}

/// `; closed by nginx (12) and curl (3)`, the first few of those that were seen.
pub(super) fn closers(closed_by: &[(String, u64)]) -> String {
    const MOST_SHOWN: usize = 3;
    let shown = closed_by.iter().take(MOST_SHOWN);
    let shown: Vec<String> = shown
        .map(|(comm, count)| format!("{} ({count})", printable(comm)))
        .collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!("; closed by {}", shown.join(", "))
    }
}

/// What a connection is for.
#[derive(Debug, Serialize)]
pub(super) struct For {
    local_port: Option<u16>,
    remote: Option<String>,
}

impl For {
    pub(super) fn new(service: Service) -> Self {
        let (local_port, remote) = port_or_remote(service);
        Self { local_port, remote }
    }
}

/// One socket that waits.
#[derive(Debug, Serialize)]
pub(super) struct Socket {
    local: String,
    peer: String,
    state: &'static str,
    cookie: u64,
    inode: u32,
    age: Age,
    quiet_seconds: f64,
    closed_by: Option<By>,
    unread_bytes: u32,
    unacked_bytes: u32,
    window_shut: bool,
}

impl Socket {
    pub(super) fn new(stuck: &Stuck) -> Self {
        let seen = &stuck.seen;
        Self {
            local: seen.ends.local.to_string(),
            peer: seen.ends.peer.to_string(),
            state: seen.state.name(),
            cookie: seen.cookie,
            inode: seen.inode,
            age: stuck.age,
            quiet_seconds: (stuck.quiet.as_secs_f64() * 1e3).round() / 1e3,
            closed_by: stuck.closed_by.as_ref().map(By::new),
            unread_bytes: seen.unread(),
            unacked_bytes: seen.unacked(),
            window_shut: seen.probes_window,
        }
    }
}
