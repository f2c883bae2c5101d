//! Every program, map and global of the compiled object.
//!
//! Takes nothing; gives the [`Question`]s that the probes answer and the table [`PROGRAMS`]
//! of what answers them. A test of the agent checks it against the object.

mod hook;
mod programs;

pub use hook::{Hook, Twin};
pub use programs::{Extra, PROGRAMS, Program, Signature};

use super::Kind;

/// The maps of the object.
pub const MAPS: &[&str] = &[
    "ALONE",
    "AYA_LOGS",
    "DROPS",
    "EVENTS",
    "MINISOCK_CALL",
    "SEEN",
    "SHED",
    "WAITING",
];

/// The ring buffer of the records.
pub const EVENTS: &str = "EVENTS";

/// The array of one `u64` in which the agent says that it sleeps until it is woken.
pub const WAITING: &str = "WAITING";

/// The array of one `u64` in which the agent says that it wants no records of how connections come to
/// be.
pub const SHED: &str = "SHED";

/// The array that counts lost records: a place a CPU, each indexed by [`Kind`] number.
pub const DROPS: &str = "DROPS";

/// The same of events that no more than one of several programs was shown.
pub const ALONE: &str = "ALONE";

/// The licence that the object declares.
pub const LICENSE: &str = "Dual MIT/GPL";

/// Something that the agent wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// A connection changed state.
    State,
    /// The application let go.
    Close,
    /// We sent a reset.
    ResetSent,
    /// We answered a segment with a reset.
    ResetReply,
    /// A reset arrived.
    ResetReceived,
    /// The socket was disconnected, aborted, or forgotten in an accept queue.
    Teardown,
    /// A minisock took over, was answered, ended.
    Minisock,
    /// The kernel forgot the socket.
    Destroy,
    /// Who accepted.
    Accept,
}

impl Question {
    /// Every question, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::State,
        Self::Close,
        Self::ResetSent,
        Self::ResetReply,
        Self::ResetReceived,
        Self::Teardown,
        Self::Minisock,
        Self::Destroy,
        Self::Accept,
    ];

    /// The name that metrics and messages use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Close => "close",
            Self::ResetSent => "reset_sent",
            Self::ResetReply => "reset_reply",
            Self::ResetReceived => "reset_received",
            Self::Teardown => "teardown",
            Self::Minisock => "minisock",
            Self::Destroy => "destroy",
            Self::Accept => "accept",
        }
    }

    /// The question in words.
    pub const fn asks(self) -> &'static str {
        match self {
            Self::State => "a connection changed state",
            Self::Close => "the application let go",
            Self::ResetSent => "we sent a reset",
            Self::ResetReply => "we answered a segment with a reset",
            Self::ResetReceived => "a reset arrived",
            Self::Teardown => {
                "the socket was disconnected, aborted, or forgotten in an accept queue"
            }
            Self::Minisock => "a FIN_WAIT2 or TIME_WAIT minisock took over, was answered, ended",
            Self::Destroy => "the kernel forgot the socket",
            Self::Accept => "who accepted",
        }
    }

    /// The kinds of records that answer it. It is answered in full if each of them comes.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::State => &[Kind::StateChanged],
            Self::Close => &[Kind::CloseCalled],
            Self::ResetSent => &[Kind::ResetSent],
            Self::ResetReply => &[Kind::ResetReplied],
            Self::ResetReceived => &[Kind::ResetReceived],
            Self::Teardown => &[Kind::Disconnected, Kind::Aborted, Kind::Forgotten],
            Self::Minisock => &[
                Kind::MinisockStarted,
                Kind::MinisockAnswered,
                Kind::MinisockEnded,
            ],
            Self::Destroy => &[Kind::Destroyed],
            Self::Accept => &[Kind::Accepted],
        }
    }

    /// The twin that is tried first: a tracepoint where it sees as much as a trampoline.
    pub const fn first_choice(self) -> Twin {
        match self {
            Self::ResetReply | Self::Destroy => Twin::Tracepoint,
            Self::State
            | Self::Close
            | Self::ResetSent
            | Self::ResetReceived
            | Self::Teardown
            | Self::Minisock
            | Self::Accept => Twin::Fentry,
        }
    }
}
