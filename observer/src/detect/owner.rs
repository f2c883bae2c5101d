//! Whose sockets they are, and what they serve.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::census::Looked;
use crate::census::cgroup::Workload;
use crate::census::process::Process;
use crate::event::Ends;

/// Processes of one name in one unit, container or pod: what an operator deploys, restarts
/// and repairs as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// Processes with a descriptor.
    Held {
        /// Their name.
        comm: String,
        /// Where they run.
        workload: Workload,
    },
    /// No process was found that has a descriptor.
    NotFound,
}

impl Owner {
    /// Of sockets that this process holds.
    pub fn of(process: &Process) -> Self {
        Self::Held {
            comm: process.comm.clone(),
            workload: process.workload.clone(),
        }
    }

    /// The name of its processes, where there are any.
    pub fn comm(&self) -> Option<&str> {
        match self {
            Self::Held { comm, .. } => Some(comm),
            Self::NotFound => None,
        }
    }

    /// Where its processes run; empty where there are none.
    pub fn workload(&self) -> Workload {
        match self {
            Self::Held { workload, .. } => workload.clone(),
            Self::NotFound => Workload::default(),
        }
    }

    /// A part of a finding's id: letters, digits and `-._@%~` only.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Held { comm, workload } => {
                let place = [&workload.container, &workload.pod, &workload.unit];
                match place.into_iter().flatten().next() {
                    Some(place) => format!("{}~{}", plain(comm), plain(place)),
                    None => plain(comm),
                }
            }
            Self::NotFound => "~not_found".to_owned(),
        }
    }
}

/// Percent-encodes what could not stand in a path.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._@".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            let _infallible = write!(plain, "%{byte:02X}");
        }
    }
    plain
}

/// What a connection is for, as its ends tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// This host serves it, on this local port.
    Local(u16),
    /// This host is the client of it.
    Remote(SocketAddr),
    /// This host is the client of each: too many to be told one by one.
    ManyRemotes,
}

impl Service {
    /// A connection through a listener is served here; without one, a local port that the
    /// kernel gives to clients makes it a client's.
    pub fn of(ends: Ends, namespace: &Looked) -> Self {
        let port = ends.local.port();
        let served = namespace.tally.listener(ends).is_some();
        if served || !namespace.sysctls.is_ephemeral(port) {
            Self::Local(port)
        } else {
            Self::Remote(ends.peer)
        }
    }

    /// A part of a finding's id.
    pub(super) fn id(self) -> String {
        match self {
            Self::Local(port) => format!("local-{port}"),
            Self::Remote(peer) => format!("remote-{peer}"),
            Self::ManyRemotes => "remote-others".to_owned(),
        }
    }
}
