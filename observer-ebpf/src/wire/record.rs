//! One struct a kind.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, Snapshot, Task, Tuple};

/// A connection is about to change state. Never to LISTEN, never from LISTEN, never from a
/// state to itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct StateChanged {
    /// Kind, time, and the full socket.
    pub header: Header,
    /// Who ran, where the change is to SYN_SENT, FIN_WAIT1 or LAST_ACK, or to CLOSE; otherwise
    /// zero. Made the change, but for one to CLOSE that is not by a close, a disconnect or a failed
    /// connect.
    pub task: Task,
    /// The ends, as far as they are set.
    pub tuple: Tuple,
    /// The socket before the change.
    pub snapshot: Snapshot,
    /// The state that it leaves, as `TCP_*` of the kernel's UAPI.
    pub old_state: u8,
    /// The state that it enters.
    pub new_state: u8,
    /// Zero.
    pub padding: [u8; 6],
}

/// `tcp_close` was called: the last file reference went, or the process exits. The socket is
/// not locked yet, so nothing of it is read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CloseCalled {
    /// Kind, time, and the full socket.
    pub header: Header,
    /// Who let go.
    pub task: Task,
    /// How long close may block for the peer, in jiffies (SO_LINGER; 0 at process exit).
    pub timeout: i64,
}

/// `tcp_send_active_reset` runs on the socket.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ResetSent {
    /// Kind, time, and the full socket.
    pub header: Header,
    /// `enum sk_rst_reason` as the running kernel numbers it, or [`flag::NO_REASON`](super::flag::NO_REASON).
    pub reason: u32,
    /// The socket's state: CLOSE where the state changed first.
    pub state: u8,
    /// Zero.
    pub padding: [u8; 3],
}

/// `tcp_v4_send_reset` or `tcp_v6_send_reset` answers a segment.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ResetReplied {
    /// Kind, time, and whatever the segment was for: a full socket, a request, a minisock,
    /// or 0 for no socket at all.
    pub header: Header,
    /// The ends of a full socket or a minisock; of a request or a listener only the network
    /// namespace; all zero for no socket.
    pub tuple: Tuple,
    /// `enum sk_rst_reason` as the running kernel numbers it, or [`flag::NO_REASON`](super::flag::NO_REASON).
    pub reason: u32,
    /// The state of what `header.sock` points to; 0 for none. 12 (NEW_SYN_RECV) is a
    /// request, 6 (TIME_WAIT) a minisock in either substate.
    pub state: u8,
    /// Zero.
    pub padding: [u8; 3],
}

/// `tcp_reset` runs: a RST arrived, or the kernel itself resets the connection because data
/// came after close.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ResetReceived {
    /// Kind, time, and the full socket.
    pub header: Header,
    /// Whether the segment carries RST: `NO`, `YES` or `UNKNOWN` of [`flag`](super::flag).
    pub segment_is_reset: u8,
    /// The socket's state before the reset.
    pub state: u8,
    /// Zero.
    pub padding: [u8; 6],
}

/// A socket call or an administrator tears the connection down. Which one is the kind.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Teardown {
    /// Kind, time, and the socket; for `Aborted` it may be a minisock or a request.
    pub header: Header,
    /// Who did it.
    pub task: Task,
    /// The socket's state before.
    pub state: u8,
    /// [`flag::HAS_SOCKET`](super::flag::HAS_SOCKET) of a full socket.
    pub marks: u8,
    /// Zero.
    pub padding: [u8; 6],
}

/// A minisock takes over what is left of the connection; the full socket goes to CLOSE next.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MinisockStarted {
    /// Kind, time, and the full socket.
    pub header: Header,
    /// Address of the minisock.
    pub minisock: u64,
    /// FIN_WAIT2 (5) or TIME_WAIT (6).
    pub substate: u8,
    /// Zero.
    pub padding: [u8; 7],
}

/// `tcp_timewait_state_process` judged a segment for a minisock. Sent only where it can
/// matter: not for a segment that was dropped and carried no RST.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MinisockAnswered {
    /// Kind, time, and the minisock.
    pub header: Header,
    /// `enum tcp_tw_status` as the running kernel numbers it.
    pub answer: u32,
    /// The substate afterwards: FIN_WAIT2 (5) or TIME_WAIT (6).
    pub substate: u8,
    /// Whether the segment carries RST: `NO`, `YES` or `UNKNOWN` of [`flag`](super::flag).
    pub segment_is_reset: u8,
    /// Zero.
    pub padding: [u8; 2],
}

/// `inet_twsk_kill` takes a minisock away.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MinisockEnded {
    /// Kind, time, and the minisock.
    pub header: Header,
    /// Who ran; made it happen where the timer did not run out and no segment did it.
    pub task: Task,
    /// FIN_WAIT2 (5) or TIME_WAIT (6).
    pub substate: u8,
    /// Whether its timer had run out: `NO`, `YES` or `UNKNOWN` of [`flag`](super::flag).
    pub expired: u8,
    /// Zero.
    pub padding: [u8; 2],
    /// Inode number of the network namespace.
    pub netns: u32,
}

/// The kernel lets go of a full socket; its address may be used again at once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Destroyed {
    /// Kind, time, and the full socket.
    pub header: Header,
}

/// A process accepted a connection.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Accepted {
    /// Kind, time, and the accepted full socket.
    pub header: Header,
    /// Who accepted.
    pub task: Task,
}

const _: () = assert!(size_of::<StateChanged>() == 168);
const _: () = assert!(size_of::<CloseCalled>() == 56);
const _: () = assert!(size_of::<ResetSent>() == 32);
const _: () = assert!(size_of::<ResetReplied>() == 80);
const _: () = assert!(size_of::<ResetReceived>() == 32);
const _: () = assert!(size_of::<Teardown>() == 56);
const _: () = assert!(size_of::<MinisockStarted>() == 40);
const _: () = assert!(size_of::<MinisockAnswered>() == 32);
const _: () = assert!(size_of::<MinisockEnded>() == 56);
const _: () = assert!(size_of::<Destroyed>() == 24);
const _: () = assert!(size_of::<Accepted>() == 48);
