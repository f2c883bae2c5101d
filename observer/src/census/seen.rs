//! One socket as `sock_diag` tells it. Pure.

use std::time::Duration;

use crate::event::{Ends, State};

/// A TCP socket or minisock that existed when the kernel was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its state; of a minisock the one that it stands for.
    pub state: State,
    /// Both ends; a listener's peer has port 0.
    pub ends: Ends,
    /// The kernel's own name of it, never given twice; being asked makes it.
    pub cookie: u64,
    /// Inode number of its file; 0 where no file is: an orphan, a minisock, or a connection
    /// that nobody accepted yet.
    pub inode: u32,
    /// Who made it; 0 of a minisock.
    pub uid: u32,
    /// `rcv_nxt − copied_seq`: bytes that the application has not read, and 1 more for a FIN
    /// that it has not read. Of a listener: connections that wait to be accepted.
    pub receive_queue: u32,
    /// `write_seq − snd_una`: bytes that the peer has not acknowledged. Of a listener: how
    /// many may wait.
    pub send_queue: u32,
    /// The peer has shut its window, and this end probes it.
    pub probes_window: bool,
    /// Set if it is a minisock.
    pub minisock: Option<Minisock>,
    /// The cgroup v2 id, for a full socket since 5.10.
    pub cgroup: Option<u64>,
    /// For how long nothing happened, for a full socket that is no listener.
    pub quiet: Option<Quiet>,
}

/// What only a minisock has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minisock {
    /// When its timer ends it.
    pub remaining: Duration,
}

/// Times since the last segment of a kind (`struct tcp_info`, in milliseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Data that this end sent.
    pub data_sent: Duration,
    /// Data that the peer sent.
    pub data_received: Duration,
    /// A segment of the peer that acknowledged something or nothing; a FIN is one.
    pub ack_received: Duration,
}

impl Seen {
    /// Bytes that the application has not read.
    pub fn unread(&self) -> u32 {
        let fin = u32::from(self.has_fin() && self.receive_queue > 0);
        self.receive_queue - fin
    }

    /// Whether the application has read all that the peer sent, the end of file included.
    pub fn has_read_to_end(&self) -> bool {
        self.has_fin() && self.receive_queue == 0
    }

    /// Whether the peer's FIN has come.
    fn has_fin(&self) -> bool {
        matches!(
            self.state,
            State::CloseWait | State::LastAck | State::Closing
        )
    }

    /// Bytes that the peer has not acknowledged; the FIN is none.
    pub fn unacked(&self) -> u32 {
        let fin_sent = matches!(
            self.state,
            State::FinWait1 | State::LastAck | State::Closing
        );
        let fin = u32::from(fin_sent && self.send_queue > 0);
        self.send_queue - fin
    }

    /// The least time that it can have been in CLOSE_WAIT: the peer's FIN acknowledges too,
    /// so it came no later than the last acknowledgement (`tcp_ack`).
    pub fn least_close_wait(&self) -> Option<Duration> {
        self.quiet.map(|quiet| quiet.ack_received)
    }
}
