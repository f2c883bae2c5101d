//! The parts that events are made of.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

use super::Comm;

/// Time since boot, suspend included (`CLOCK_BOOTTIME`), in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` less `time`; 0 at the least.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// `self` plus `delay`, saturating.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A TCP state as a full socket holds it (RFC 9293 §3.3.2; kernel UAPI `TCP_*`). A full
/// socket is never in TIME_WAIT: a minisock takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// 1
    Established = 1,
    /// 2
    SynSent,
    /// 3
    SynRecv,
    /// 4
    FinWait1,
    /// 5
    FinWait2,
    /// 6, a minisock only.
    TimeWait,
    /// 7
    Close,
    /// 8
    CloseWait,
    /// 9
    LastAck,
    /// 10
    Listen,
    /// 11
    Closing,
    /// 12, a request only.
    NewSynRecv,
}

impl State {
    /// The state with this UAPI number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 => Self::SynRecv,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            12 => Self::NewSynRecv,
            _ => return None,
        })
    }

    /// Its UAPI number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state's name as the kernel spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::NewSynRecv => "NEW_SYN_RECV",
        }
    }
}

/// What a minisock waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Substate {
    /// The peer's FIN has not come.
    FinWait2,
    /// Both FINs are exchanged.
    TimeWait,
}

/// Who ran on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Task {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// The thread's name.
    pub comm: Comm,
    /// The process exits.
    pub exiting: bool,
}

/// Both ends of a connection. IPv4-mapped IPv6 addresses are shown as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ends {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

impl Ends {
    /// Whether both have a port: a client's own is chosen after the first change of state.
    pub fn are_complete(self) -> bool {
        self.local.port() != 0 && self.peer.port() != 0
    }
}

/// A full socket just before a state change.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the kernel's own"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Sequence numbers.
    pub sequences: Sequences,
    /// `sk_err`, a positive errno, or 0.
    pub error: u16,
    /// `sk_err_soft`, a positive errno, or 0.
    pub soft_error: u16,
    /// The application or the peer's FIN shut the receive side (`RCV_SHUTDOWN`).
    pub receive_shut: bool,
    /// The application shut the send side (`SEND_SHUTDOWN`).
    pub send_shut: bool,
    /// No file holds the socket (`SOCK_DEAD`).
    pub dead: bool,
    /// The peer's FIN was received (`SOCK_DONE`).
    pub done: bool,
    /// Keepalive is on (`SOCK_KEEPOPEN`).
    pub keepalive: bool,
    /// `SO_LINGER` in jiffies, if set.
    pub linger: Option<u32>,
    /// `TCP_LINGER2` in jiffies: 0 the default, negative: no FIN_WAIT2.
    pub linger2: i32,
    /// `TCP_USER_TIMEOUT` in milliseconds, if set.
    pub user_timeout: Option<NonZeroU32>,
    /// `TCP_REPAIR` is on.
    pub repair: bool,
    /// It carries a part of a Multipath TCP connection, and the application holds another
    /// socket: who lets go of this one is not to be seen.
    pub subflow: bool,
    /// It stands in the table of connections. A minisock that takes over takes its place there
    /// before it goes to CLOSE (`inet_twsk_hashdance`, 5.10 to 7.2); `None` where the probe
    /// comes too late to see it.
    pub hashed: Option<bool>,
    /// A timer for what was sent, or waits to be sent, is armed (`icsk_pending`). A timer that
    /// runs has been disarmed (`tcp_write_timer_handler`, 5.10 to 7.2): without one, and with
    /// something in flight, it is the timer that ends the connection.
    pub write_timer: bool,
    /// Retransmissions in a row without an answer.
    pub retransmits: u8,
    /// Keepalive or window probes without an answer.
    pub probes: u8,
    /// `sk_socket` is set.
    pub has_socket: bool,
    /// Whether this runs inside close() or process exit.
    pub release: Release,
}

/// Whether the last file reference is gone while a state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// It is: this is close() or process exit.
    Yes,
    /// It is not: this is shutdown(), connect() or a softirq.
    No,
    /// This probe could not read it.
    Unknown,
}

/// Sequence numbers of a full socket (modulo 2³²).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// Next expected from the peer.
    pub rcv_nxt: u32,
    /// Next that the application has not read.
    pub copied_seq: u32,
    /// Next to send.
    pub snd_nxt: u32,
    /// First that the peer has not acknowledged.
    pub snd_una: u32,
    /// End of what the application wrote, FIN included once queued.
    pub write_seq: u32,
    /// The peer's window in bytes.
    pub snd_wnd: u32,
}
