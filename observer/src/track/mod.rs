//! One record a connection end, from its first event until its verdict can no longer change.
//!
//! Takes events in ring order and the time; gives [`Output`]s. Bounded, sans-IO: it never
//! asks for the time, never blocks, and no event can make it fail.

use crate::classify::ResetCause;
use crate::event::{Event, State, Task, Timestamp};

/// One piece of evidence of a connection's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What: a word such as `fin_sent`, `peer_fin`, `reset_received`, `close_called`.
    pub event: &'static str,
    /// The state afterwards, if the step changed it.
    pub state: Option<State>,
    /// Who did it, where somebody did.
    pub by: Option<Task>,
}

/// What the attached probes can see. Where a question has no answer, the core infers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Calls of `tcp_close`.
    pub close: bool,
    /// Minisocks from start to end.
    pub minisocks: bool,
    /// Whether a reset's segment carries RST.
    pub segment_of_reset: bool,
    /// `tcp_disconnect`, `tcp_abort` and `inet_child_forget`.
    pub teardown: bool,
    /// Replies with a reset for minisocks and for no socket (the tracepoint since 6.12, or a kprobe).
    pub replies_beyond_sockets: bool,
    /// Replies with a reset at all.
    pub replies: bool,
    /// `tcp_send_active_reset` or its tracepoint.
    pub resets_sent: bool,
    /// The kernel's reset reasons.
    pub reset_reasons: bool,
}

/// Bounds of the tracker's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections tracked at once; the oldest are evicted beyond it.
    pub connections: usize,
    /// Steps kept for each timeline.
    pub steps: usize,
}

/// What the tracker has to say.
#[derive(Debug)]
pub enum Output {
    /// A connection end is final.
    Closed(Box<Closed>),
    /// This host sent a reset that belongs to no tracked connection.
    LooseReset(ResetCause),
    /// A minisock in TIME_WAIT ended.
    TimeWaitEnded(TimeWaitEnd),
}

/// How a TIME_WAIT ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitEnd {
    /// After its 60 s.
    Expired,
    /// A new connection took its ends.
    Reused,
    /// A RST killed it (RFC 1337).
    Reset,
    /// An administrator destroyed it.
    Destroyed,
    /// Anything else, such as the end of its network namespace.
    Other,
}

/// All that was seen of a connection end that is final.
#[derive(Debug)]
pub struct Closed {}

/// Tracks every connection end of the host.
#[derive(Debug)]
pub struct Tracker {
    sight: Sight,
    limits: Limits,
}

impl Tracker {
    /// An empty tracker.
    pub fn new(sight: Sight, limits: Limits) -> Self {
        Self { sight, limits }
    }

    /// Takes the next event in ring order.
    pub fn handle(&mut self, event: Event) {
        let (_, _, _) = (event, self.sight, self.limits);
    }

    /// Some events were lost at or before `now`: what is open now may have missed one.
    pub fn handle_loss(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Finalises what has waited long enough at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// When [`Self::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The next thing to say, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        None
    }

    /// Connections tracked now.
    pub fn tracked(&self) -> usize {
        0
    }

    /// Connections evicted so far because the limit was reached.
    pub fn evictions(&self) -> u64 {
        0
    }
}
