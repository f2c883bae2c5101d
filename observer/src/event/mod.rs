//! What the kernel said, in the agent's words.
//!
//! Takes the bytes of one ring record and the running kernel's [`Vocabulary`]; gives an
//! [`Event`] or a [`DecodeError`]. Never panics, never reads past the record, never asks
//! for the time.

mod comm;
mod decode;
pub mod errno;
mod parts;
mod translate;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use comm::{Comm, readable};
pub use decode::{DecodeError, Decoder};
pub use parts::{Ends, Release, Sequences, Socket, State, Substate, Task, Timestamp};
pub use vocabulary::{ResetReason, TwStatus, Vocabulary};

use std::num::NonZeroU64;

/// Address of a `struct sock` or of a minisock: it names a connection only until the kernel
/// lets go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SockId(pub u64);

/// One thing that the kernel did.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When the probe ran.
    pub at: Timestamp,
    /// The CPU that it ran on.
    pub cpu: u32,
    /// The full socket or minisock that it is about; `SockId(0)` is none.
    pub sock: SockId,
    /// What it was.
    pub body: Body,
    /// Where in its program the task was that connected or accepted, innermost first; `None`
    /// where nobody asked, or the kernel could not tell.
    pub stack: Option<Box<[u64]>>,
}

/// What happened. The kernel function behind each is named in `observer_ebpf::wire`.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The connection is about to change state.
    StateChanged {
        /// The state that it leaves.
        old: State,
        /// The state that it enters.
        new: State,
        /// Who ran on the CPU; not always who made the change.
        task: Task,
        /// Both ends; `None` while the kernel has not set them.
        ends: Option<Ends>,
        /// Inode number of the network namespace.
        netns: u32,
        /// Id of the cgroup v2 directory that the socket was made in.
        cgroup: Option<NonZeroU64>,
        /// The socket cookie, once somebody asked the kernel for one.
        cookie: Option<NonZeroU64>,
        /// The socket just before the change.
        socket: Socket,
    },
    /// The application let go of the last reference, or exits.
    CloseCalled {
        /// Who let go.
        task: Task,
        /// How long close may block for the peer, in jiffies.
        timeout: i64,
    },
    /// This host resets the connection of its own accord.
    ResetSent {
        /// The kernel's reason, where it gives one.
        reason: Option<ResetReason>,
        /// The state when the reset left; CLOSE where the state changed first.
        state: Option<State>,
    },
    /// This host answers a segment with a reset.
    ResetReplied {
        /// The kernel's reason, where it gives one.
        reason: Option<ResetReason>,
        /// What the segment was for.
        target: ReplyTarget,
    },
    /// The kernel tears the connection down as reset.
    ResetReceived {
        /// Whether a RST really arrived (`Some(false)`: data came after close); `None`
        /// where the twin cannot see the segment.
        segment_is_reset: Option<bool>,
        /// The state before.
        state: Option<State>,
    },
    /// `tcp_disconnect`: by close with linger 0, connect(AF_UNSPEC), TCP_REPAIR or a closing listener.
    Disconnected {
        /// Who ran.
        task: Task,
        /// The state before.
        state: Option<State>,
        /// Whether a file still held the socket.
        has_socket: bool,
    },
    /// `tcp_abort`: an administrator destroys the connection. May name a minisock.
    Aborted {
        /// The administrator, not the owner.
        task: Task,
        /// The state before.
        state: Option<State>,
    },
    /// A closing listener forgets a connection that waited in its accept queue.
    Forgotten {
        /// Who closed the listener.
        task: Task,
    },
    /// A minisock takes over; the full socket goes to CLOSE next.
    MinisockStarted {
        /// The minisock.
        minisock: SockId,
        /// Whether the peer's FIN is still missing.
        substate: Substate,
    },
    /// A segment met a minisock.
    MinisockAnswered {
        /// What the kernel decided; `None` for a number that this kernel's BTF does not name.
        answer: Option<TwStatus>,
        /// The substate afterwards. After [`TwStatus::Success`] the minisock may be gone, and
        /// this be another one's.
        substate: Substate,
        /// Whether the segment carried RST.
        segment_is_reset: Option<bool>,
    },
    /// A minisock is gone.
    MinisockEnded {
        /// The substate that it ended in.
        substate: Substate,
        /// Whether its timer had run out.
        expired: Option<bool>,
        /// Inode number of the network namespace.
        netns: u32,
        /// Who ran; made it happen if neither the timer nor a segment did.
        task: Task,
    },
    /// The full socket is gone; its address may be used again.
    Destroyed,
    /// A process accepted the connection.
    Accepted {
        /// Who accepted.
        task: Task,
    },
}

/// What an answered segment was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyTarget {
    /// No socket: nobody listens there, or nobody knows the connection.
    Nobody,
    /// A connection that is still a request, or a listener.
    Handshake {
        /// Inode number of the network namespace.
        netns: u32,
    },
    /// A full socket in this state.
    Socket {
        /// Its state when the answer left.
        state: State,
        /// Its ends.
        ends: Option<Ends>,
        /// Inode number of the network namespace.
        netns: u32,
    },
    /// A minisock.
    Minisock {
        /// Its ends.
        ends: Option<Ends>,
        /// Inode number of the network namespace.
        netns: u32,
    },
}
