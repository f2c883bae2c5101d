//! What is done to a connection by force: resets, and calls that tear it down.
//!
//! Written by the tracker event by event; read by `classify` once it is final. Few connections
//! have any of it while they close, so it takes memory from the first on.

use crate::event::{ResetReason, State, Timestamp};

use super::REPEATED_WITHIN;
use super::people::Who;

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

impl Teardown {
    const NONE: Self = Self {
        disconnected: None,
        aborted: None,
        forgotten: None,
    };
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
    fn is_in_passing(&self) -> bool {
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

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Force {
    pub(super) teardown: Teardown,
    /// When an administrator asked to destroy its minisock; an older kernel may refuse.
    pub(super) minisock_aborted: Option<Timestamp>,
    pub(super) reset_received: Option<ResetSeen>,
    /// Oldest first; at most [`Self::MOST_RESETS`].
    pub(super) resets: Vec<ResetFact>,
    /// Those not kept included.
    pub(super) resets_sent: u32,
    /// How many of them were told as they were sent.
    pub(super) resets_told: u32,
}

impl Force {
    /// Resets kept for one connection; a peer that goes on sending could add more for ever.
    pub(super) const MOST_RESETS: usize = 8;

    const NONE: Self = Self {
        teardown: Teardown::NONE,
        minisock_aborted: None,
        reset_received: None,
        resets: Vec::new(),
        resets_sent: 0,
        resets_told: 0,
    };

    pub(super) fn add_reset(&mut self, reset: ResetFact) {
        self.resets_sent = self.resets_sent.saturating_add(1);
        if self.resets.len() >= Self::MOST_RESETS
            && let Some(reply) = self.resets.iter().position(ResetFact::is_in_passing)
        {
            self.resets.remove(reply);
        }
        if self.resets.len() < Self::MOST_RESETS {
            self.resets.push(reset);
        }
    }

    /// Whether a reset of our own accord was told just before `at`: no connection survives it, so
    /// that another is the same, told again.
    pub(super) fn has_just_reset(&self, at: Timestamp) -> bool {
        let just = |reset: &ResetFact| at.since(reset.at) < REPEATED_WITHIN;
        let mut resets = self.resets.iter();
        resets.any(|reset| reset.source == ResetSource::Active && just(reset))
    }

    /// Keeps its memory.
    fn clear(&mut self) {
        let Self {
            teardown,
            minisock_aborted,
            reset_received,
            resets,
            resets_sent,
            resets_told,
        } = self;
        *teardown = Teardown::NONE;
        (*minisock_aborted, *reset_received) = (None, None);
        resets.clear();
        (*resets_sent, *resets_told) = (0, 0);
    }
}

static NONE: Force = Force::NONE;

/// The place for it, in one pointer.
#[derive(Clone, Debug, Default)]
pub(super) struct ByForce(Option<Box<Force>>);

impl ByForce {
    pub(super) fn get(&self) -> &Force {
        self.0.as_deref().unwrap_or(&NONE)
    }

    /// To be changed where there is any.
    pub(super) fn change(&mut self) -> Option<&mut Force> {
        self.0.as_deref_mut()
    }

    /// To be added to.
    pub(super) fn add(&mut self) -> &mut Force {
        self.0.get_or_insert_default()
    }

    pub(super) fn forget_disconnect(&mut self) {
        if let Some(force) = self.change() {
            force.teardown.disconnected = None;
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(force) = self.change() {
            force.clear();
        }
    }
}

impl PartialEq for ByForce {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
