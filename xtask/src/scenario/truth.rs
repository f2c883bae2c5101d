//! What really happened to one end of one connection.
//!
//! Takes the words of a scenario that made it happen; gives them to the judge. Never knows
//! what the agent said.

use std::fs;
use std::net::SocketAddr;
use std::process;

/// How the application let go of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// `close()`.
    Close,
    /// `shutdown()`.
    Shutdown,
    /// The process exited.
    Exit,
    /// The connection ended before anybody let go.
    Nobody,
}

impl Closer {
    /// The agent's word; `None` is JSON's null.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Close => Some("close"),
            Self::Shutdown => Some("shutdown"),
            Self::Exit => Some("exit"),
            Self::Nobody => None,
        }
    }
}

/// The truth about one end. A field that is `None` is not determined by what was done.
#[derive(Clone, Debug)]
pub struct End {
    /// `client` or `server`.
    pub role: &'static str,
    /// Its namespace, where the scenario has more than one.
    pub netns: Option<u64>,
    /// This end's address, where it got one.
    pub local: Option<SocketAddr>,
    /// The other end's address, where the kernel keeps it.
    pub peer: Option<SocketAddr>,
    /// How it ended.
    pub ending: &'static str,
    /// Whose FIN or RST came first.
    pub initiator: Option<&'static str>,
    /// How the application let go.
    pub closer: Closer,
    /// Process and name of who let go.
    pub by: Option<(u32, String)>,
    /// Process and name of who connected or accepted.
    pub opener: Option<(u32, String)>,
    /// Whether one side went on receiving after its FIN.
    pub half_closed: Option<bool>,
    /// Who holds `TIME_WAIT`.
    pub time_wait: &'static str,
    /// Bytes that the application had not read.
    pub unread: Option<u64>,
    /// Bytes that were never sent.
    pub unsent: Option<u64>,
    /// Bytes that were never acknowledged.
    pub unacked: Option<u64>,
    /// The attributes that hold, in the order of the agent's list.
    pub attributes: Option<&'static [&'static str]>,
}

impl End {
    /// The end that connected.
    pub fn client(local: SocketAddr, peer: SocketAddr, ending: &'static str) -> Self {
        Self::new("client", local, peer, ending)
    }

    /// The end that was connected to.
    pub fn server(local: SocketAddr, peer: SocketAddr, ending: &'static str) -> Self {
        Self::new("server", local, peer, ending)
    }

    fn new(role: &'static str, local: SocketAddr, peer: SocketAddr, ending: &'static str) -> Self {
        let (initiator, time_wait) = usual(ending);
        Self {
            role,
            netns: None,
            local: Some(canonical(local)),
            peer: Some(canonical(peer)),
            ending,
            initiator,
            closer: Closer::Nobody,
            by: None,
            opener: None,
            half_closed: Some(false),
            time_wait,
            unread: Some(0),
            unsent: Some(0),
            unacked: Some(0),
            attributes: None,
        }
    }

    /// This process and thread let go.
    #[must_use]
    pub fn closed_here(self, closer: Closer) -> Self {
        self.closed_by(closer, process::id(), &own_name())
    }

    /// This process and thread connected or accepted.
    #[must_use]
    pub fn opened_here(self) -> Self {
        Self {
            opener: Some((process::id(), own_name())),
            ..self
        }
    }

    /// Somebody else let go.
    #[must_use]
    pub fn closed_by(self, closer: Closer, pid: u32, comm: &str) -> Self {
        Self {
            closer,
            by: Some((pid, comm.to_owned())),
            ..self
        }
    }

    /// It was in this namespace of several.
    #[must_use]
    pub fn inside(self, netns: u64) -> Self {
        Self {
            netns: Some(netns),
            ..self
        }
    }

    /// Another initiator than this ending usually has.
    #[must_use]
    pub fn initiator(self, initiator: &'static str) -> Self {
        Self {
            initiator: Some(initiator),
            ..self
        }
    }

    /// Whether it was half closed; `None`: a matter of view.
    #[must_use]
    pub fn half_closed(self, half_closed: Option<bool>) -> Self {
        Self {
            half_closed,
            ..self
        }
    }

    /// Bytes lost: unread, unsent, unacknowledged.
    #[must_use]
    pub fn left(self, unread: u64, unsent: u64, unacked: u64) -> Self {
        Self {
            unread: Some(unread),
            unsent: Some(unsent),
            unacked: Some(unacked),
            ..self
        }
    }

    /// The attributes that hold, and no others.
    #[must_use]
    pub fn attributes(self, attributes: &'static [&'static str]) -> Self {
        Self {
            attributes: Some(attributes),
            ..self
        }
    }
}

fn own_name() -> String {
    let comm = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    comm.trim_end().to_owned()
}

/// IPv4 in IPv6 is IPv4 on the wire.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Initiator and `TIME_WAIT` where nothing special happened.
fn usual(ending: &str) -> (Option<&'static str>, &'static str) {
    match ending {
        "active_close" => (Some("local"), "local"),
        "passive_close" => (Some("peer"), "peer"),
        "simultaneous_close" => (Some("both"), "both"),
        "connect_refused" | "peer_reset" | "peer_reset_after_fin" => (Some("peer"), "none"),
        "connect_failed" | "dropped_silently" => (None, "none"),
        "unreachable" => (Some("kernel"), "none"),
        timeout if timeout.starts_with("timeout_") => (Some("kernel"), "none"),
        _ => (Some("local"), "none"),
    }
}
