//! What the agent says of one ended connection.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Ends, Task, Timestamp};
use crate::track::{Closed, Step};

use super::{Counts, Ending, found};

/// One end of one connection, ended: the verdict with what identifies it. Sinks print this.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How it ended.
    pub ending: Ending,
    /// Which side of the connection this end is.
    pub role: Role,
    /// Whose FIN or RST came first.
    pub initiator: Option<Initiator>,
    /// How this end's application let go; `None` if it did not, or if that was not seen.
    pub closer: Option<Closer>,
    /// Data could still flow one way after a FIN: some side shut down sending and went on
    /// receiving; `None` if not known.
    pub half_closed: Option<bool>,
    /// Who holds TIME_WAIT.
    pub time_wait: TimeWait,
    /// What was lost.
    pub left_behind: LeftBehind,
    /// Time in each phase, in the order of [`Phase::ALL`]; `None` where it was not in that phase.
    pub phases: [Option<Duration>; Phase::ALL.len()],
    /// How sure the agent is.
    pub confidence: Confidence,
    /// Why the confidence is not `Exact`.
    pub doubt: Option<&'static str>,
    /// Details that do not make another ending.
    pub attributes: Attributes,
    /// Resets that this host sent for this connection, by cause.
    pub resets_sent: ResetCauses,
    /// Counters of the kernel that its end moved.
    pub counters: Counts,
    /// Whether a RST of the peer ended it.
    pub reset_received: bool,
    /// Kernel time of the deciding transition.
    pub ended_at: Timestamp,
    /// Kernel time of the first event of a connection seen from its birth.
    pub born_at: Option<Timestamp>,
    /// Both ends; `None` if no event carried them.
    pub ends: Option<Ends>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The cgroup v2 id.
    pub cgroup: Option<u64>,
    /// The socket cookie.
    pub cookie: Option<u64>,
    /// Who closed.
    pub closed_by: Option<Task>,
    /// Who accepted or connected.
    pub opened_by: Option<Task>,
    /// The name of the kernel's reset reason, where it gave one.
    pub reset_reason: Option<Arc<str>>,
    /// `sk_err` at the end: a positive errno or 0.
    pub error: u16,
    /// The ordered evidence; empty unless [`Self::with_evidence`] added it.
    pub timeline: Vec<Step>,
    /// Steps that did not fit into the timeline.
    pub timeline_dropped: u32,
}

impl Verdict {
    /// With the timeline of the connection, for whoever shows it.
    #[must_use]
    pub fn with_evidence(mut self, closed: &Closed) -> Self {
        self.timeline = closed.timeline().collect();
        self.timeline_dropped = closed.timeline_dropped();
        self
    }

    /// Whether it is as it is, perhaps, only because an event was lost.
    pub fn may_lack_an_event(&self) -> bool {
        let for_want = self.doubt.is_some_and(found::is_for_want);
        // What was not seen says these.
        let silent = matches!(self.ending, Ending::DroppedSilently | Ending::ConnectFailed);
        self.confidence != Confidence::Partial && (for_want || silent)
    }

    /// Whether this end closed first, or both did, and it holds TIME_WAIT.
    pub fn holds_time_wait(&self) -> bool {
        matches!(self.time_wait, TimeWait::Local | TimeWait::Both)
    }

    /// Whether it is a connect that found no free local port, and failed with EADDRNOTAVAIL
    /// (`__inet_hash_connect`). One whose socket was bound to a port, or that failed for want of
    /// a route or of memory, has one.
    pub fn found_no_port(&self) -> bool {
        let ends = self.ends;
        self.ending == Ending::ConnectFailed && ends.is_some_and(|ends| ends.local.port() == 0)
    }
}

macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The word for it in metrics, JSON and text.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

pub(super) use labels;

labels! {
    /// Which side of the connection an end is.
    Role {
        /// It sent a SYN, in a simultaneous open too.
        Client = "client",
        /// It answered one.
        Server = "server",
        /// Its birth was not seen.
        Unknown = "unknown",
    }
}

labels! {
    /// Whose FIN or RST came first.
    Initiator {
        /// This end.
        Local = "local",
        /// The other end.
        Peer = "peer",
        /// Each sent its FIN before the other's came.
        Both = "both",
        /// The kernel, for a timeout or want of memory.
        Kernel = "kernel",
    }
}

labels! {
    /// How the application let go.
    Closer {
        /// close() on the last file descriptor.
        Close = "close",
        /// shutdown() of the send side.
        Shutdown = "shutdown",
        /// The process exited or was killed.
        Exit = "exit",
    }
}

labels! {
    /// Who holds TIME_WAIT after this ending.
    TimeWait {
        /// This end.
        Local = "local",
        /// The other end.
        Peer = "peer",
        /// Both.
        Both = "both",
        /// Neither.
        None = "none",
        /// Not known.
        Unknown = "unknown",
    }
}

labels! {
    /// How sure the agent is of a verdict.
    Confidence {
        /// Every fact that it rests on was observed.
        Exact = "exact",
        /// A fact that this kernel or twin does not show was concluded from others.
        Inferred = "inferred",
        /// Events are missing: the connection is older than the agent, or some were lost.
        Partial = "partial",
    }
}

labels! {
    /// A span of a connection's life.
    Phase {
        /// SYN_SENT or SYN_RECV.
        Connecting = "connecting",
        /// ESTABLISHED.
        Established = "established",
        /// CLOSE_WAIT.
        CloseWait = "close_wait",
        /// FIN_WAIT1.
        FinWait1 = "fin_wait1",
        /// FIN_WAIT2, in the full socket or a minisock.
        FinWait2 = "fin_wait2",
        /// CLOSING.
        Closing = "closing",
        /// LAST_ACK.
        LastAck = "last_ack",
    }
}

labels! {
    /// Why this host sent a reset.
    ResetCause {
        /// close() with data that the application had not read.
        UnreadData = "unread_data",
        /// close() with SO_LINGER on and 0.
        LingerZero = "linger_zero",
        /// Data arrived after close.
        DataAfterClose = "data_after_close",
        /// A listener closed with connections in its accept queue.
        ListenerClosed = "listener_closed",
        /// connect(AF_UNSPEC).
        Disconnect = "disconnect",
        /// TCP_LINGER2 below 0, or FIN_WAIT2 ran out.
        Linger2 = "linger2",
        /// Too many orphans or too little memory.
        OutOfMemory = "out_of_memory",
        /// An administrator destroyed the connection.
        Destroyed = "destroyed",
        /// Keepalive probes went unanswered.
        KeepaliveTimeout = "keepalive_timeout",
        /// A segment came for a port or connection that does not exist here.
        NoSocket = "no_socket",
        /// A segment did not fit a connection that was still opening.
        Handshake = "handshake",
        /// Anything else.
        Other = "other",
    }
}

/// Bytes lost when a connection ended; `None` where it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Received, never read by the application.
    pub unread: Option<u32>,
    /// Written by the application, never sent.
    pub unsent: Option<u32>,
    /// Sent, never acknowledged.
    pub unacked: Option<u32>,
}

/// Details of a verdict.
#[expect(clippy::struct_excessive_bools, reason = "each is a detail of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// A blocking close gave up waiting for the peer.
    pub linger_expired: bool,
    /// The ending is not a reset, but one was sent.
    pub reset_sent: bool,
    /// TIME_WAIT was due, but the kernel had no room for it.
    pub time_wait_overflow: bool,
    /// The ending happened to a minisock, after the full socket was gone.
    pub minisock: bool,
}

/// Why this host sent each of the resets of a connection that are kept, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetCauses {
    all: [ResetCause; Closed::MOST_RESETS],
    count: usize,
}

impl Default for ResetCauses {
    fn default() -> Self {
        Self {
            all: [ResetCause::Other; Closed::MOST_RESETS],
            count: 0,
        }
    }
}

impl FromIterator<ResetCause> for ResetCauses {
    fn from_iter<T: IntoIterator<Item = ResetCause>>(causes: T) -> Self {
        let mut kept = Self::default();
        for (place, cause) in kept.all.iter_mut().zip(causes) {
            *place = cause;
            kept.count += 1;
        }
        kept
    }
}

impl Deref for ResetCauses {
    type Target = [ResetCause];

    fn deref(&self) -> &[ResetCause] {
        self.all.get(..self.count).unwrap_or_default()
    }
}
