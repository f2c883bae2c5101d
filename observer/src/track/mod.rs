//! One record a connection end, from its first event until its verdict can no longer change.
//!
//! Takes events in ring order and the time; gives [`Output`]s. Bounded, sans-IO: it never
//! asks for the time, never blocks, and no event can make it fail.

mod acts;
mod cause;
mod closed;
mod compact;
mod due;
mod facts;
mod force;
mod minisock;
mod open;
mod opens;
mod owners;
mod people;
mod phases;
mod room;
mod settle;
mod slab;
mod stacks;
mod standing;
mod table;
mod time_wait;
mod trail;

#[cfg(test)]
mod tests;

pub use closed::{CloseCall, Closed, Exit, Fate, Fin, Gap, Minisock, Origin};
pub use force::{Disconnect, ResetFact, ResetSeen, ResetSource, Teardown};
pub use people::Who;
pub use phases::Phases;
pub use stacks::{Opening, Stack};
pub use standing::{Stage, Standing};
pub use trail::Step;

use std::collections::VecDeque;
use std::time::Duration;

use crate::classify::ResetCause;
use crate::event::{Body, Event, SockId, State, Timestamp};

use compact::Compact;
use stacks::Stacks;
use table::{Found, Slot, Table};
use time_wait::TimeWaits;

/// How long a record waits after CLOSE for what may still belong to it.
const AFTER_EXIT: Duration = Duration::from_millis(100);

/// What happens can be told twice, by two programs that are shown it in turn, when the task is kept
/// off the CPU in between, or goes to another. No connection does the same again with the same ends
/// and nothing else in between.
const REPEATED_WITHIN: Duration = Duration::from_secs(5);

/// What the attached probes can see. Where a question has no answer, the core infers.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one question, seen or not"
)]
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
    /// Open connections tracked at once; the longest untouched are evicted beyond it.
    pub connections: usize,
    /// As many of those that close, or that more is known of than that they are open.
    pub records: usize,
    /// Steps kept for each timeline.
    pub steps: usize,
}

impl Limits {
    /// All connections that can be tracked at once.
    pub const fn all(&self) -> usize {
        self.connections + self.records
    }
}

/// Connections that are tracked at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Those of which no more is known than that they are open, or that the peer closed them.
    pub open: usize,
    /// Those that close here, or that more is known of.
    pub closing: usize,
}

impl Tracked {
    /// All of them.
    pub const fn all(&self) -> usize {
        self.open + self.closing
    }
}

/// What the tracker has to say.
#[derive(Debug)]
pub enum Output {
    /// A connection end is final.
    Closed(Box<Closed>),
    /// This host sent a reset that belongs to no tracked connection.
    LooseReset {
        /// Why.
        cause: ResetCause,
        /// Inode number of the network namespace, where the event tells it.
        netns: Option<u32>,
        /// When.
        at: Timestamp,
    },
    /// This host sent a reset for a tracked connection, which may live on.
    ResetSent {
        /// Inode number of the network namespace, where it is known by now.
        netns: Option<u32>,
        /// When.
        at: Timestamp,
    },
    /// A minisock in TIME_WAIT ended.
    TimeWaitEnded(TimeWaitOver),
    /// The time of a minisock in FIN_WAIT2 ran out that took over before the agent saw it.
    UnknownExpired {
        /// Inode number of the network namespace.
        netns: u32,
        /// When.
        at: Timestamp,
    },
    /// A minisock took over, or must have where minisocks cannot be seen.
    MinisockStarted {
        /// Inode number of the network namespace.
        netns: u32,
        /// When the full socket went to CLOSE.
        at: Timestamp,
    },
    /// The child of a listener died before anybody could see it.
    Stillborn {
        /// Inode number of the network namespace.
        netns: u32,
        /// When.
        at: Timestamp,
    },
}

/// The end of a TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWaitOver {
    /// How.
    pub how: TimeWaitEnd,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// When.
    pub at: Timestamp,
}

/// How a TIME_WAIT ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeWaitEnd {
    /// After its 60 s.
    Expired,
    /// A SYN came for a new connection with its ends.
    Reused,
    /// A connect took its ends.
    Recycled,
    /// A RST killed it (RFC 1337).
    Reset,
    /// An administrator destroyed it.
    Destroyed,
    /// Anything else, such as the end of its network namespace.
    Other,
}

/// Connections, and children that nobody saw, whose last change may still be told a second time.
const RECENT: usize = 256;

/// Outputs that memory is kept for while there are none.
const MOST_OUTPUTS: usize = 1 << 14;

/// Tracks every connection end of the host.
#[derive(Debug)]
pub struct Tracker {
    sight: Sight,
    limits: Limits,
    table: Table,
    time_waits: TimeWaits,
    outputs: VecDeque<Output>,
    /// Facts of connections that are over, to be written anew.
    #[expect(
        clippy::vec_box,
        reason = "records take them and give them as they are"
    )]
    spare: Vec<Box<Closed>>,
    /// Pointers of the latest connections that were final before their socket was destroyed.
    recent: VecDeque<(SockId, Compact, Timestamp)>,
    /// Pointers of the latest children that died before anybody could see them.
    stillborn: VecDeque<(SockId, Timestamp)>,
    stacks: Stacks,
    last_loss: Option<Timestamp>,
    evictions: u64,
}

impl Tracker {
    /// An empty tracker.
    pub fn new(sight: Sight, limits: Limits) -> Self {
        Self {
            sight,
            limits,
            table: Table::default(),
            time_waits: TimeWaits::default(),
            outputs: VecDeque::new(),
            spare: Vec::new(),
            recent: VecDeque::with_capacity(RECENT),
            stillborn: VecDeque::new(),
            stacks: Stacks::default(),
            last_loss: None,
            evictions: 0,
        }
    }

    /// Takes the next event in ring order.
    pub fn handle(&mut self, event: &Event) {
        let (at, sock) = (event.at, event.sock);
        match &event.body {
            body @ Body::StateChanged { .. } => self.state_changed(sock, at, body),
            Body::CloseCalled { task, timeout } => self.close_called(sock, at, *task, *timeout),
            Body::Accepted { task } => self.accepted(sock, at, *task),
            Body::ResetSent { reason, state } => self.reset_sent(sock, at, reason.clone(), *state),
            Body::ResetReplied { reason, target } => {
                self.reset_replied(sock, at, reason.clone(), target);
            }
            body @ Body::ResetReceived { .. } => self.reset_received(sock, at, body),
            body @ Body::Disconnected { .. } => self.disconnected(sock, at, body),
            Body::Aborted { task, state } => self.aborted(sock, at, *task, *state),
            Body::Forgotten { task } => self.forgotten(sock, at, *task),
            Body::MinisockStarted { minisock, substate } => {
                self.minisock_started(sock, at, *minisock, *substate);
            }
            body @ Body::MinisockAnswered { .. } => self.minisock_answered(sock, at, body),
            body @ Body::MinisockEnded { .. } => self.minisock_ended(sock, at, body),
            Body::Destroyed => self.destroyed(sock),
        }
        if let Some(frames) = &event.stack {
            self.opened_from(sock, at, frames);
        }
    }

    fn opened_from(&mut self, sock: SockId, at: Timestamp, frames: &[u64]) {
        let stack = self.stacks.keep(frames);
        let opening = stack.map(|stack| Opening { at, stack });
        if let Some(Found::Open(open)) = self.table.find(sock) {
            self.table.opens.opened_from(open, opening);
        } else {
            self.with(sock, |closed, _| closed.opening = opening.map(Box::new));
        }
    }

    /// Some events were lost at or before `now`: what is open now may have missed one.
    pub fn handle_loss(&mut self, now: Timestamp) {
        self.last_loss = self.last_loss.max(Some(now));
    }

    /// When [`Self::handle_loss`] was told last.
    pub fn last_loss(&self) -> Option<Timestamp> {
        self.last_loss
    }

    /// Finalises what has waited long enough at `now`. Call it when every event before `now`
    /// was handled: what an unread event would still tell comes too late.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(slot) = self.table.due(now) {
            self.finalise_overdue(slot);
        }
        while let Some(end) = self.time_waits.due(now) {
            self.outputs.push_back(Output::TimeWaitEnded(end));
        }
    }

    /// When [`Self::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match (self.table.next_deadline(), self.time_waits.next_deadline()) {
            (Some(record), Some(time_wait)) => Some(record.min(time_wait)),
            (one, other) => one.or(other),
        }
    }

    /// The next thing to say, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > MOST_OUTPUTS {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Keeps as many steps of each timeline from here on; what is left out is marked.
    pub fn keep_steps(&mut self, steps: usize) {
        self.limits.steps = steps;
    }

    /// Connections tracked now.
    pub fn tracked(&self) -> Tracked {
        Tracked {
            open: self.table.opens.len(),
            closing: self.table.records().len(),
        }
    }

    /// Connections evicted so far because the limit was reached.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Stacks of openers that were not kept because there was no room.
    pub fn stacks_dropped(&self) -> u64 {
        self.stacks.dropped()
    }

    /// Lets `note` add to what is known of a tracked connection; an untracked one is ignored.
    fn with(&mut self, sock: SockId, note: impl FnOnce(&mut Closed, usize)) {
        if let Some(slot) = self.slot(sock) {
            self.with_slot(slot, note);
        }
    }

    fn with_slot(&mut self, slot: Slot, note: impl FnOnce(&mut Closed, usize)) {
        self.table.touch(slot);
        if let Some(record) = self.table.record(slot) {
            note(&mut record.facts, self.limits.steps);
        }
    }

    /// A connection older than the agent shows itself by something that comes before CLOSE.
    fn start_if_live(&mut self, sock: SockId, at: Timestamp, state: Option<State>) {
        let Some(state) = state else { return };
        let live = !matches!(
            state,
            State::Close | State::Listen | State::TimeWait | State::NewSynRecv
        );
        if live {
            self.live_slot(sock, at, state);
        }
    }

    /// The record of a connection that has not gone to CLOSE, started if there is none.
    fn live_slot(&mut self, sock: SockId, at: Timestamp, state: State) -> Slot {
        if let Some(slot) = self.slot(sock) {
            if self
                .table
                .record(slot)
                .is_some_and(|record| record.facts.exit.is_none())
            {
                return slot;
            }
            self.overtake(slot);
        }
        // A child that dies before it is established shows itself in SYN_RECV first.
        let origin = if state == State::SynRecv {
            Origin::Accepted
        } else {
            Origin::Unseen
        };
        self.start(sock, origin, at, state)
    }
}
