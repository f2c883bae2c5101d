//! What is known of one connection end.
//!
//! Written by the tracker event by event; read by `classify` once it is final. It holds
//! facts as they were seen and draws no conclusion.

use crate::event::{
    Ends, Release, ResetReason, Sequences, Socket, State, Substate, Task, Timestamp,
};

use super::phases::Phases;
use super::trail::{People, Trail};
use super::{Opening, Sight, Step, Who};

/// All that was seen of a connection end that is final.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// What the probes could see.
    pub sight: Sight,
    /// How it began.
    pub origin: Origin,
    /// The first event of it, whatever that was.
    pub first_at: Timestamp,
    /// The state before the last change that was seen.
    pub came_from: Option<State>,
    /// The state after it.
    pub state: State,
    /// When it entered that state, if that was seen.
    pub since: Option<Timestamp>,
    /// Time in each phase, in the order of [`Phase::ALL`](crate::classify::Phase::ALL).
    pub phases: Phases,
    /// Both ends, as complete as any event told them.
    pub ends: Option<Ends>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The cgroup v2 id.
    pub cgroup: Option<u64>,
    /// The socket cookie.
    pub cookie: Option<u64>,
    /// Who accepted or connected.
    pub opened_by: Option<Who>,
    /// Where in its program, if that was asked for and told.
    pub opening: Option<Opening>,
    /// The call of close, if it came before the end.
    pub close_called: Option<CloseCall>,
    /// When this end queued its FIN.
    pub fin: Option<Fin>,
    /// Whether no file held the socket any more when it first left the state that a close
    /// waits in: FIN_WAIT1, LAST_ACK or CLOSING.
    pub orphaned_early: Option<bool>,
    /// The peer's FIN, where it came while the full socket lived.
    pub peer_fin: Option<PeerFin>,
    /// `sk_err` at the last change before CLOSE.
    pub error_before: Option<u16>,
    /// The full socket's way to CLOSE.
    pub exit: Option<Exit>,
    /// `tcp_disconnect`, `tcp_abort` and what a closing listener did.
    pub teardown: Teardown,
    /// A RST, or what looks like one.
    pub reset_received: Option<ResetSeen>,
    /// Resets that this host sent, oldest first; at most [`Self::MOST_RESETS`].
    pub resets: Vec<ResetFact>,
    /// How many resets this host sent, those not kept included.
    pub resets_sent: u32,
    /// How many of them were told as they were sent.
    pub(super) resets_told: u32,
    /// The minisock that took over.
    pub minisock: Option<Minisock>,
    /// Why the facts are not complete, if they are not.
    pub gap: Option<Gap>,
    /// The evidence in order.
    pub(super) trail: Trail,
    /// Whom all of these name.
    pub(super) people: People,
}

/// How a connection end began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// With our SYN, at this time.
    Connected(Timestamp),
    /// With the peer's SYN, at this time.
    Accepted(Timestamp),
    /// Before the agent saw it.
    Unseen,
}

/// A call of close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseCall {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Who,
    /// How long it may block, in jiffies.
    pub timeout: i64,
}

/// This end queues its FIN: the change to FIN_WAIT1 or LAST_ACK, always in process context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fin {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Who,
    /// Whether it happened inside close().
    pub release: Release,
    /// The receive side was shut too, by the application or by the peer's FIN.
    pub receive_shut: bool,
    /// `SO_LINGER` in jiffies.
    pub linger: Option<u32>,
    /// The end of what the application had written.
    pub write_seq: u32,
}

/// The peer's FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerFin {
    /// When.
    pub at: Timestamp,
    /// The end of what the application had written by then.
    pub write_seq: u32,
}

/// The full socket goes to CLOSE.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// When.
    pub at: Timestamp,
    /// The state that it leaves.
    pub from: State,
    /// Who ran.
    pub by: Who,
    /// The socket just before.
    pub socket: Socket,
}

/// What others than the peer did to the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teardown {
    /// `tcp_disconnect` ran. One that the kernel refused is forgotten by what follows.
    pub disconnected: Option<Disconnect>,
    /// `tcp_abort` ran: who.
    pub aborted: Option<Who>,
    /// A closing listener forgot it: who closed the listener.
    pub forgotten: Option<Who>,
}

/// A call of `tcp_disconnect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Who,
    /// A file held the socket.
    pub has_socket: bool,
}

/// `tcp_reset` ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetSeen {
    /// When.
    pub at: Timestamp,
    /// Whether the segment carried RST, where the twin shows it.
    pub segment_is_reset: Option<bool>,
}

/// One reset that this host sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetFact {
    /// When.
    pub at: Timestamp,
    /// What made it.
    pub source: ResetSource,
    /// The socket had already gone to CLOSE.
    pub after_exit: bool,
    /// The state that it was sent in.
    pub state: State,
    /// The kernel's reason.
    pub reason: Option<ResetReason>,
}

impl ResetFact {
    /// A segment was answered, and the connection went on.
    pub(super) fn is_in_passing(&self) -> bool {
        self.source == ResetSource::Reply && !self.after_exit
    }
}

/// What makes this host send a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetSource {
    /// Its own accord.
    Active,
    /// A segment that it answers.
    Reply,
    /// A segment that a minisock answers.
    Minisock,
}

/// A minisock in place of the full socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minisock {
    /// When it took over.
    pub at: Timestamp,
    /// What it waited for then.
    pub substate: Substate,
    /// What became of it, and when; for TIME_WAIT from the start, `TimeWait` at once.
    pub fate: Option<(Fate, Timestamp)>,
    /// A probe saw it take over; else it is concluded from what it did.
    pub seen_starting: bool,
}

/// What became of a minisock that waited for the peer's FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The FIN came.
    TimeWait,
    /// Data came, and a reset answered it.
    Answered,
    /// A RST came.
    PeerReset,
    /// An administrator destroyed it.
    Aborted,
    /// Its time ran out.
    Expired,
    /// It ended, and what ended it was not seen; whether a kernel worker did.
    Gone {
        /// Whether its time had not run out for certain.
        before_time: bool,
    },
}

/// Why facts may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Its birth was not seen.
    Birth,
    /// Events of this host were lost while it was open.
    Loss,
    /// A state change does not follow from the one before.
    Sequence,
    /// Its end was not seen: the kernel let go of it, or used its address again.
    End,
}

impl Closed {
    /// Resets kept for one connection; a peer that goes on sending could add more for ever.
    pub const MOST_RESETS: usize = 8;

    /// The task that a fact names.
    pub fn task(&self, who: Who) -> Task {
        self.people.task(who)
    }

    /// The evidence in order.
    pub fn timeline(&self) -> impl ExactSizeIterator<Item = Step> {
        self.trail.steps(&self.people)
    }

    /// Steps of it that did not fit.
    pub fn timeline_dropped(&self) -> u32 {
        self.trail.dropped()
    }

    /// The state that it left for CLOSE.
    pub fn exit_from(&self) -> Option<State> {
        self.exit.as_ref().map(|exit| exit.from)
    }

    /// The full socket just before CLOSE.
    pub fn last_socket(&self) -> Option<&Socket> {
        self.exit.as_ref().map(|exit| &exit.socket)
    }

    /// The sequence numbers just before CLOSE.
    pub fn last_sequences(&self) -> Option<Sequences> {
        self.last_socket().map(|socket| socket.sequences)
    }

    /// Whether it carried a part of a Multipath TCP connection.
    pub fn subflow(&self) -> bool {
        self.last_socket().is_some_and(|socket| socket.subflow)
    }

    /// When it was born, if that was seen.
    pub fn born_at(&self) -> Option<Timestamp> {
        match self.origin {
            Origin::Connected(at) | Origin::Accepted(at) => Some(at),
            Origin::Unseen => None,
        }
    }

    /// Whether events were lost while it was open: then what was not seen proves nothing.
    pub fn lossy(&self) -> bool {
        self.gap == Some(Gap::Loss)
    }

    /// What became of its minisock.
    pub fn fate(&self) -> Option<Fate> {
        self.minisock
            .and_then(|minisock| minisock.fate)
            .map(|(fate, _)| fate)
    }

    /// Whether a segment that came after CLOSE was answered with a reset.
    pub fn replied_after_exit(&self) -> bool {
        self.resets.iter().any(|reset| {
            reset.after_exit && matches!(reset.source, ResetSource::Reply | ResetSource::Minisock)
        })
    }

    /// Whether this end reset the connection of its own accord after CLOSE.
    pub fn reset_after_exit(&self) -> bool {
        self.resets
            .iter()
            .any(|reset| reset.after_exit && reset.source == ResetSource::Active)
    }

    /// Whether this end reset the connection of its own accord before CLOSE.
    pub fn reset_before_exit(&self) -> bool {
        self.resets
            .iter()
            .any(|reset| !reset.after_exit && reset.source == ResetSource::Active)
    }

    /// `FIN_WAIT2`, `CLOSING` → CLOSE without an error: the kernel hands over to a minisock,
    /// or would have.
    pub fn handover_due(&self) -> bool {
        self.exit.as_ref().is_some_and(|exit| {
            let due = match exit.from {
                State::FinWait2 => !exit.is_inside_close(),
                State::Closing => exit.is_after_fins(),
                State::Established
                | State::SynSent
                | State::SynRecv
                | State::FinWait1
                | State::TimeWait
                | State::Close
                | State::CloseWait
                | State::LastAck
                | State::Listen
                | State::NewSynRecv => false,
            };
            due && self.fatal_error() == 0
        })
    }

    /// FIN_WAIT2 → CLOSE without the peer's FIN: a minisock waits for it only after close() and
    /// without TCP_LINGER2 below 0; else, and where resets are not visible, a reset may have
    /// ended it.
    pub fn may_have_reset_unseen(&self) -> bool {
        self.exit.as_ref().is_some_and(|exit| {
            let socket = &exit.socket;
            let waits = socket.dead && socket.linger2 >= 0;
            let visible = self.sight.replies && self.sight.resets_sent;
            exit.from == State::FinWait2 && !socket.done && !(waits && visible)
        })
    }

    /// A reset in a state in which data after close makes the kernel reset too.
    pub fn reset_is_ambiguous(&self) -> bool {
        let closing = matches!(
            self.exit_from(),
            Some(
                State::FinWait1
                    | State::FinWait2
                    | State::Closing
                    | State::LastAck
                    | State::CloseWait
            )
        );
        closing
            && self
                .reset_received
                .is_some_and(|reset| reset.segment_is_reset != Some(true))
    }
}
