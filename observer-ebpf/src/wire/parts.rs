//! The parts that records are made of.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What happened, one number per record struct. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    /// [`StateChanged`](super::StateChanged): a connection changed state.
    StateChanged = 1,
    /// [`CloseCalled`](super::CloseCalled): the application let go of the socket.
    CloseCalled = 2,
    /// [`ResetSent`](super::ResetSent): this host reset a connection of its own accord.
    ResetSent = 3,
    /// [`ResetReplied`](super::ResetReplied): this host answered a segment with a reset.
    ResetReplied = 4,
    /// [`ResetReceived`](super::ResetReceived): the kernel tore a connection down as reset.
    ResetReceived = 5,
    /// [`Teardown`](super::Teardown): `tcp_disconnect` ran on the socket.
    Disconnected = 6,
    /// [`Teardown`](super::Teardown): `tcp_abort` ran on the socket (`ss -K`).
    Aborted = 7,
    /// [`Teardown`](super::Teardown): a closing listener dropped the socket from its accept queue.
    Forgotten = 8,
    /// [`MinisockStarted`](super::MinisockStarted): a minisock took over from the full socket.
    MinisockStarted = 9,
    /// [`MinisockAnswered`](super::MinisockAnswered): a segment met a minisock.
    MinisockAnswered = 10,
    /// [`MinisockEnded`](super::MinisockEnded): the kernel let go of a minisock.
    MinisockEnded = 11,
    /// [`Destroyed`](super::Destroyed): the kernel let go of the full socket.
    Destroyed = 12,
    /// [`Accepted`](super::Accepted): a process accepted the socket.
    Accepted = 13,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::StateChanged,
        Self::CloseCalled,
        Self::ResetSent,
        Self::ResetReplied,
        Self::ResetReceived,
        Self::Disconnected,
        Self::Aborted,
        Self::Forgotten,
        Self::MinisockStarted,
        Self::MinisockAnswered,
        Self::MinisockEnded,
        Self::Destroyed,
        Self::Accepted,
    ];

    /// Counts of the per-CPU drop counter: one a kind, indexed by the kind's number; the first is
    /// not used.
    pub const SLOTS: u32 = 14;

    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// The name that metrics and messages use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::StateChanged => "state_changed",
            Self::CloseCalled => "close_called",
            Self::ResetSent => "reset_sent",
            Self::ResetReplied => "reset_replied",
            Self::ResetReceived => "reset_received",
            Self::Disconnected => "disconnected",
            Self::Aborted => "aborted",
            Self::Forgotten => "forgotten",
            Self::MinisockStarted => "minisock_started",
            Self::MinisockAnswered => "minisock_answered",
            Self::MinisockEnded => "minisock_ended",
            Self::Destroyed => "destroyed",
            Self::Accepted => "accepted",
        }
    }
}

/// The start of every record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// A [`Kind`] number.
    pub kind: u16,
    /// Size in bytes of the whole record, this header included.
    pub size: u16,
    /// The CPU that the probe ran on.
    pub cpu: u32,
    /// `bpf_ktime_get_boot_ns` when the probe ran: nanoseconds since boot, suspend included.
    pub at_ns: u64,
    /// Address of the `struct sock`, or of the minisock where the record's doc says so.
    /// 0 where there is none.
    pub sock: u64,
}

/// The task that a CPU was running. Whoever it is made the event only where the record's
/// kind says that it happens in process context; in a softirq it is a bystander.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Task {
    /// Process id as user space knows it (the kernel's tgid), in the initial pid namespace.
    pub pid: u32,
    /// [`flag::EXITING`].
    pub flags: u32,
    /// The thread's name, padded with zeros.
    pub comm: [u8; 16],
}

/// Both ends of a connection. All zero where they are not known yet.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Tuple {
    /// This end's address; IPv4 in the first four bytes.
    pub local_address: [u8; 16],
    /// The other end's address; IPv4 in the first four bytes.
    pub peer_address: [u8; 16],
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u16,
    /// This end's port, from `inet_sport`: it outlives `inet_num`, which is cleared at CLOSE.
    pub local_port: u16,
    /// The other end's port.
    pub peer_port: u16,
    /// Zero.
    pub padding: u16,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Zero.
    pub padding2: u32,
}

/// What a full socket holds at the moment of a state change, before the change. Of a change to
/// another state than CLOSE only the cookie, the cgroup, `write_seq`, `sk_flags` and `error` are
/// told; of one to FIN_WAIT1 or LAST_ACK also `linger_time`, `shutdown` and [`flag::HAS_SOCKET`] with
/// what follows from it. The rest is zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Snapshot {
    /// `skc_cookie`; 0 if nobody asked the kernel for one yet.
    pub cookie: u64,
    /// Id of the cgroup v2 directory that the socket was made in; 0 where not readable.
    pub cgroup: u64,
    /// `rcv_nxt`: next sequence number expected from the peer.
    pub rcv_nxt: u32,
    /// `copied_seq`: next sequence number that the application has not read.
    pub copied_seq: u32,
    /// `snd_nxt`: next sequence number to send.
    pub snd_nxt: u32,
    /// `snd_una`: first sequence number that the peer has not acknowledged.
    pub snd_una: u32,
    /// `write_seq`: end of what the application wrote, FIN included once queued.
    pub write_seq: u32,
    /// `snd_wnd`: the window that the peer offers, in bytes.
    pub snd_wnd: u32,
    /// Low 32 bits of `sk_flags`, as they stand; bit numbers come from BTF (`enum sock_flags`).
    pub sk_flags: u32,
    /// `icsk_user_timeout` in milliseconds; 0 is none.
    pub user_timeout_ms: u32,
    /// `linger2`: `TCP_LINGER2` in jiffies, 0 the default, negative: reset instead of FIN_WAIT2.
    pub linger2: i32,
    /// `sk_lingertime` in jiffies (low 32 bits); meaningful with SOCK_LINGER.
    pub linger_time: u32,
    /// `sk_err`: a positive errno or 0.
    pub error: u16,
    /// `sk_err_soft`: a positive errno or 0.
    pub soft_error: u16,
    /// `sk_shutdown`: 1 receive, 2 send.
    pub shutdown: u8,
    /// `icsk_retransmits`.
    pub retransmits: u8,
    /// `icsk_probes_out`.
    pub probes: u8,
    /// [`flag::HAS_SOCKET`] and its neighbours.
    pub marks: u8,
}

/// Where in its program a task was when it called into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stack {
    /// Bytes of `frames` that are meant; a negative errno where the kernel could not tell.
    pub bytes: i64,
    /// Addresses, innermost first: of the instruction after the system call, then to where each
    /// function returns.
    pub frames: [u64; Self::FRAMES],
}

impl Stack {
    /// Frames told at most, those next to the system call.
    pub const FRAMES: usize = 48;
}

/// Bits of the flag fields.
pub mod flag {
    /// [`Task::flags`](super::Task::flags): the task is exiting (`PF_EXITING`).
    pub const EXITING: u32 = 1;

    /// [`Snapshot::marks`](super::Snapshot::marks): `sk_socket` is set: some file, or a
    /// socket call that runs, still has the socket.
    pub const HAS_SOCKET: u8 = 1;
    /// [`Snapshot::marks`](super::Snapshot::marks): the last reference to the file is gone,
    /// so this runs inside close() or process exit, not inside shutdown().
    pub const RELEASING: u8 = 2;
    /// [`Snapshot::marks`](super::Snapshot::marks): [`RELEASING`] could be read.
    pub const RELEASING_KNOWN: u8 = 4;
    /// [`Snapshot::marks`](super::Snapshot::marks): `TCP_REPAIR` is on.
    pub const REPAIR: u8 = 8;
    /// [`Snapshot::marks`](super::Snapshot::marks): the socket stands in the table of
    /// connections; a minisock that takes over takes its place there first.
    pub const HASHED: u8 = 16;
    /// [`Snapshot::marks`](super::Snapshot::marks): [`HASHED`] could be read. The tracepoint
    /// cannot: it comes after the kernel took the socket out in any case.
    pub const HASHED_KNOWN: u8 = 32;
    /// [`Snapshot::marks`](super::Snapshot::marks): a timer for what was sent, or waits to be
    /// sent, is armed (`icsk_pending`). A timer that runs is not armed any more.
    pub const WRITE_TIMER: u8 = 64;
    /// [`Snapshot::marks`](super::Snapshot::marks): the connection carries a part of a Multipath
    /// TCP connection, whose socket is another.
    pub const SUBFLOW: u8 = 128;

    /// A three-valued byte: no.
    pub const NO: u8 = 0;
    /// A three-valued byte: yes.
    pub const YES: u8 = 1;
    /// A three-valued byte: this twin cannot see it.
    pub const UNKNOWN: u8 = 2;

    /// A reset reason that the kernel does not give.
    pub const NO_REASON: u32 = u32::MAX;
}

const _: () = assert!(size_of::<Header>() == 24);
const _: () = assert!(size_of::<Task>() == 24);
const _: () = assert!(size_of::<Tuple>() == 48);
const _: () = assert!(size_of::<Snapshot>() == 64);
const _: () = assert!(size_of::<Stack>() == 392);
