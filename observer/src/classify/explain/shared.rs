//! What is true of several endings: counters that move alike, and advice that is wrong for each.

use super::{KernelCounter, Myth};

pub(super) const OUT_RESETS: KernelCounter = KernelCounter {
    name: "TcpOutRsts",
    moves: "by 1",
};

/// `tcp_set_state` counts the change itself, whatever the reason.
pub(super) const ESTABLISHED_RESETS: KernelCounter = KernelCounter {
    name: "TcpEstabResets",
    moves: "by 1 from ESTABLISHED or CLOSE_WAIT, from other states not",
};

pub(super) const ABORT_ON_TIMEOUT: KernelCounter = KernelCounter {
    name: "TcpExtTCPAbortOnTimeout",
    moves: "by 1",
};

pub(super) const ATTEMPT_FAILS: KernelCounter = KernelCounter {
    name: "TcpAttemptFails",
    moves: "by 1",
};

pub(super) const MINISOCK: KernelCounter = KernelCounter {
    name: "TcpExtTW",
    moves: "by 1 for the FIN_WAIT2 or TIME_WAIT minisock, when it starts (5.10: when its time \
            runs out); TcpExtTWKilled instead if it is given 4 s or less",
};

pub(super) const TW_RECYCLE: Myth = Myth {
    advice: "Set tcp_tw_recycle.",
    truth: "It is gone since Linux 4.12. It broke clients behind NAT.",
};

pub(super) const FIN_TIMEOUT_AND_TIME_WAIT: Myth = Myth {
    advice: "Lower tcp_fin_timeout to shorten TIME_WAIT.",
    truth: "TIME_WAIT lasts 60 s, a constant of the kernel. tcp_fin_timeout bounds FIN_WAIT2 \
            of sockets that the application has closed, nothing else.",
};

pub(super) const FEWER_BUCKETS: Myth = Myth {
    advice: "Lower tcp_max_tw_buckets to get rid of TIME_WAIT.",
    truth: "Above the limit a connection closes without TIME_WAIT, and without FIN_WAIT2: the \
            peer's FIN may get a RST, and late segments can meet the next connection of the \
            same ports. The kernel's manual says not to \
            lower it.",
};

pub(super) const LINGER_ZERO_AGAINST_TIME_WAIT: Myth = Myth {
    advice: "Set SO_LINGER to {1, 0} to avoid TIME_WAIT.",
    truth: "close() then throws away what is not yet acknowledged and resets the connection: \
            the peer gets ECONNRESET, and may lose the end of the data.",
};

pub(super) const ABORT_ON_LINGER: Myth = Myth {
    advice: "TCPAbortOnLinger counts SO_LINGER 0.",
    truth: "It is about TCP_LINGER2 below 0. A close with SO_LINGER 0 counts as TCPAbortOnData.",
};
