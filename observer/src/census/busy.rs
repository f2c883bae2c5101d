//! Local ports in use, by destination, and TIME_WAIT, by what it is for. Pure and bounded.
//!
//! A connect without bind takes any port that no connection with the same source address,
//! destination and port has (`__inet_check_established`): so it is counted by these.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Seen;
use crate::event::State;

/// Destinations and served ports kept of one namespace; all sockets are counted.
const MOST: usize = 16_384;

/// The length of TIME_WAIT (`TCP_TIMEWAIT_LEN`).
const TIME_WAIT: Duration = Duration::from_mins(1);

/// One side's address, and the other's with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// The local address.
    pub source: IpAddr,
    /// The service.
    pub peer: SocketAddr,
}

/// Ports in use for one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// By connections in any state but TIME_WAIT; a FIN_WAIT2 minisock is one.
    pub open: u32,
    /// By minisocks in TIME_WAIT.
    pub time_wait: u32,
    /// By those of them that are too young to be taken by a connect.
    pub young: u32,
    /// Inode number of a socket that is open; 0 if none is, or no file has it.
    pub an_inode: u32,
}

/// All of one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Busy {
    /// Of clients.
    destinations: HashMap<Destination, Ports>,
    /// TIME_WAIT of servers, by local port.
    served: HashMap<u16, u32>,
    /// All in TIME_WAIT that clients left.
    pub time_wait_of_clients: u64,
    /// All that servers left.
    pub time_wait_of_servers: u64,
    /// Sockets that found no room above.
    pub not_kept: u64,
}

impl Busy {
    /// Adds a socket of a client. A connect may take a port of TIME_WAIT that is so old.
    pub(super) fn add_client(&mut self, seen: &Seen, reuse_after: Duration) {
        self.time_wait_of_clients += u64::from(seen.state == State::TimeWait);
        let destination = Destination {
            source: seen.ends.local.ip(),
            peer: seen.ends.peer,
        };
        if self.destinations.len() >= MOST && !self.destinations.contains_key(&destination) {
            self.not_kept += 1;
            return;
        }
        let ports = self.destinations.entry(destination).or_default();
        if seen.state == State::TimeWait {
            ports.time_wait += 1;
            let remaining = seen.minisock.map(|it| it.remaining).unwrap_or_default();
            let age = TIME_WAIT.saturating_sub(remaining);
            ports.young += u32::from(age < reuse_after);
        } else {
            ports.open += 1;
            if ports.an_inode == 0 {
                ports.an_inode = seen.inode;
            }
        }
    }

    /// Adds a TIME_WAIT of a server.
    pub(super) fn add_served(&mut self, port: u16) {
        self.time_wait_of_servers += 1;
        if self.served.len() >= MOST && !self.served.contains_key(&port) {
            self.not_kept += 1;
        } else {
            *self.served.entry(port).or_default() += 1;
        }
    }

    /// Destinations with at least so many ports in use, in no order.
    pub fn destinations(&self, least: u32) -> impl Iterator<Item = (&Destination, &Ports)> {
        let used = move |ports: &Ports| ports.open + ports.time_wait >= least;
        self.destinations
            .iter()
            .filter(move |(_, ports)| used(ports))
    }

    /// Local ports with at least so many in TIME_WAIT, in no order.
    pub fn served(&self, least: u32) -> impl Iterator<Item = (u16, u32)> {
        let all = self.served.iter().map(|(port, count)| (*port, *count));
        all.filter(move |(_, count)| *count >= least)
    }
}
