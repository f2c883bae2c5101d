//! What is known of one connection end.
//!
//! Written by the tracker event by event; read by `classify` once it is final. It holds
//! facts as they were seen and draws no conclusion.

use std::num::NonZeroU64;

use crate::event::{Ends, Release, Sequences, Socket, State, Substate, Task, Timestamp};

use super::compact::{Compact, MaybeAt, SightBits};
use super::force::{ByForce, Force, ResetFact, ResetSeen, ResetSource, Teardown};
use super::people::{People, Who};
use super::phases::Phases;
use super::trail::Trail;
use super::{Opening, Sight, Step};

/// All that was seen of a connection end that is final. There may be very many that are not final
/// yet, so it is kept small.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    pub(super) sight: SightBits,
    /// How it began.
    pub origin: Origin,
    /// The first event of it, whatever that was.
    pub first_at: Timestamp,
    /// The state before the last change that was seen.
    pub came_from: Option<State>,
    /// The state after it.
    pub state: State,
    pub(super) since: MaybeAt,
    /// Time in each phase.
    pub phases: Phases,
    pub(super) ends: Compact,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The cgroup v2 id.
    pub cgroup: Option<NonZeroU64>,
    /// The socket cookie.
    pub cookie: Option<NonZeroU64>,
    /// Who accepted or connected.
    pub opened_by: Option<Who>,
    /// Where in its program, if that was asked for and told.
    pub opening: Option<Box<Opening>>,
    /// The call of close, if it came before the end.
    pub close_called: Option<CloseCall>,
    /// When this end queued its FIN.
    pub fin: Option<Fin>,
    /// Whether no file held the socket any more when it first left the state that a close
    /// waits in: FIN_WAIT1, LAST_ACK or CLOSING.
    pub orphaned_early: Option<bool>,
    /// The end of what the application had written when the peer's FIN came, where that came
    /// while the full socket lived.
    pub written_by_peer_fin: Option<u32>,
    /// `sk_err` at the last change before CLOSE.
    pub error_before: Option<u16>,
    /// The full socket's way to CLOSE.
    pub exit: Option<Exit>,
    pub(super) force: ByForce,
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
    /// With our SYN.
    Connected,
    /// With the peer's SYN.
    Accepted,
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
    /// It may block until the peer has acknowledged everything.
    pub may_block: bool,
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
    /// `SO_LINGER` is on, and not 0.
    pub lingers: bool,
    /// The end of what the application had written.
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

/// A minisock in place of the full socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minisock {
    /// When it took over.
    pub at: Timestamp,
    /// What it waited for then.
    pub substate: Substate,
    /// A probe saw it take over; else it is concluded from what it did.
    pub seen_starting: bool,
    fate: Option<Fate>,
    /// When that was decided, if it was.
    decided_at: Timestamp,
}

impl Minisock {
    pub(super) fn new(at: Timestamp, substate: Substate, seen_starting: bool) -> Self {
        Self {
            at,
            substate,
            seen_starting,
            fate: (substate == Substate::TimeWait).then_some(Fate::TimeWait),
            decided_at: at,
        }
    }

    pub(super) fn decide(&mut self, fate: Fate, at: Timestamp) {
        (self.fate, self.decided_at) = (Some(fate), at);
    }

    /// What became of it, and when; for TIME_WAIT from the start, `TimeWait` at once.
    pub fn fate(&self) -> Option<(Fate, Timestamp)> {
        self.fate.map(|fate| (fate, self.decided_at))
    }
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
    /// Resets kept for one connection.
    pub const MOST_RESETS: usize = Force::MOST_RESETS;

    /// What the probes could see.
    pub fn sight(&self) -> Sight {
        self.sight.get()
    }

    /// When it entered its state, if that was seen.
    pub fn since(&self) -> Option<Timestamp> {
        self.since.get()
    }

    /// Both ends, as complete as any event told them.
    pub fn ends(&self) -> Option<Ends> {
        self.ends.ends()
    }

    /// `tcp_disconnect`, `tcp_abort` and what a closing listener did.
    pub fn teardown(&self) -> &Teardown {
        &self.force.get().teardown
    }

    /// A RST, or what looks like one.
    pub fn reset_received(&self) -> Option<ResetSeen> {
        self.force.get().reset_received
    }

    /// Resets that this host sent, oldest first; at most [`Self::MOST_RESETS`].
    pub fn resets(&self) -> &[ResetFact] {
        &self.force.get().resets
    }

    /// How many resets this host sent, those not kept included.
    pub fn resets_sent(&self) -> u32 {
        self.force.get().resets_sent
    }

    /// The task that a fact names.
    pub fn task(&self, who: Who) -> Task {
        self.people.task(who)
    }

    /// The evidence in order.
    pub fn timeline(&self) -> impl ExactSizeIterator<Item = Step> {
        self.trail.steps(self.first_at, &self.people)
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
            Origin::Connected | Origin::Accepted => Some(self.first_at),
            Origin::Unseen => None,
        }
    }

    /// Whether events were lost while it was open: then what was not seen proves nothing.
    pub fn lossy(&self) -> bool {
        self.gap == Some(Gap::Loss)
    }

    /// Whether all of its end was seen, so that what was not seen of it did not happen: at most its
    /// birth is missing, and something before the last change was seen.
    pub fn end_is_whole(&self) -> bool {
        match self.gap {
            None => true,
            Some(Gap::Birth) => self.exit.as_ref().is_some_and(|exit| {
                // Nothing else comes before the end of a connect.
                exit.from == State::SynSent || self.first_at < exit.at
            }),
            Some(Gap::Loss | Gap::Sequence | Gap::End) => false,
        }
    }

    /// What became of its minisock.
    pub fn fate(&self) -> Option<Fate> {
        self.minisock.and_then(|minisock| minisock.fate)
    }

    /// Whether a segment that came after CLOSE was answered with a reset.
    pub fn replied_after_exit(&self) -> bool {
        self.resets().iter().any(|reset| {
            reset.after_exit && matches!(reset.source, ResetSource::Reply | ResetSource::Minisock)
        })
    }

    /// Whether this end reset the connection of its own accord after CLOSE.
    pub fn reset_after_exit(&self) -> bool {
        self.resets()
            .iter()
            .any(|reset| reset.after_exit && reset.source == ResetSource::Active)
    }

    /// Whether this end reset the connection of its own accord before CLOSE.
    pub fn reset_before_exit(&self) -> bool {
        self.resets()
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
            let sight = self.sight();
            let visible = sight.replies && sight.resets_sent;
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
                .reset_received()
                .is_some_and(|reset| reset.segment_is_reset != Some(true))
    }
}
