//! This host sent a RST, and not because the owner of the socket closed it abortively.

use super::shared::{ESTABLISHED_RESETS, OUT_RESETS};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, CloseWait, Established, FinWait1, Listen, SynSent};

pub(super) const LISTENER_CLOSED: Explanation = Explanation {
    problem: "Yes for the clients: each had a connection, may have sent its request, and gets \
              ECONNRESET.",
    drawing: &[
        Step::received("SYN")
            .here("", Listen)
            .there("connect()", SynSent),
        Step::sent("SYN-ACK").there("", Established),
        Step::received("ACK").here("", Established),
        Step::quiet("in the accept queue"),
        Step::sent("RST")
            .here("close(listener)", Close)
            .there("", Close)
            .decides(),
    ],
    application: "It closed the listening socket, or exited, before it had accepted this \
                  connection. The kernel resets all that is in the accept queue.",
    causes: &[
        "One of several SO_REUSEPORT listeners stopped; each has a queue of its own.",
        "A server crashed.",
    ],
    next: &[
        Next {
            text: "See how many connections wait to be accepted (Recv-Q) and may (Send-Q).",
            command: Some("ss -ltn sport = :PORT"),
        },
        Next {
            text: "Hand the listening socket to the new process (systemd socket activation, an \
                   inherited descriptor), or take the server out of the load balancer and \
                   accept what is queued before it stops.",
            command: None,
        },
    ],
    settings: &[Setting {
        name: "tcp_migrate_req",
        effect: "1 gives the queue to another SO_REUSEPORT listener of the port (since 5.14; \
                 default 0).",
    }],
    counters: &[OUT_RESETS, ESTABLISHED_RESETS],
    myths: &[
        Myth {
            advice: "Raise somaxconn and the backlog.",
            truth: "A longer queue only holds more connections to lose.",
        },
        Myth {
            advice: "With SO_REUSEPORT a restart loses nothing.",
            truth: "The queue of the old listener dies with it, unless tcp_migrate_req or a \
                    BPF program moves it.",
        },
    ],
    other_end: &[Ending::PeerReset, Ending::PeerResetWhileClosing],
};

pub(super) const OUT_OF_MEMORY: Explanation = Explanation {
    problem: "Yes. What the peer had not acknowledged is lost, and this host has too many \
              orphans or too little memory for TCP.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::sent("RST").here("", Close).there("", Close).decides(),
    ],
    application: "It had closed; the kernel alone held the socket, as an orphan, to deliver the \
                  rest. It may be the victim of other sockets.",
    causes: &[
        "Many peers vanish, or stop reading, just when this end closes.",
        "A burst of closes, each with much unsent data.",
        "Somebody lowered tcp_max_orphans.",
    ],
    next: &[
        Next {
            text: "The kernel logs which limit it was.",
            command: Some("sudo dmesg | grep -E 'orphaned sockets|consider tuning tcp_mem'"),
        },
        Next {
            text: "See orphans and memory (mem, in pages) now, and their limits.",
            command: Some(
                "cat /proc/net/sockstat; sysctl net.ipv4.tcp_max_orphans net.ipv4.tcp_mem",
            ),
        },
        Next {
            text: "See the orphans that wait for an ACK: no process, and a timer.",
            command: Some("sudo ss -tanop state fin-wait-1"),
        },
    ],
    settings: &[
        Setting {
            name: "tcp_max_orphans",
            effect: "For the whole host. An orphan that retransmits or is silent for long may \
                     already fall at a half or a quarter of it.",
        },
        Setting {
            name: "tcp_mem",
            effect: "Three numbers, in pages, for the whole host; the third is the limit.",
        },
        Setting {
            name: "tcp_orphan_retries",
            effect: "Fewer retries let go of orphans sooner (as timeout_orphan).",
        },
    ],
    counters: &[
        KernelCounter {
            name: "TcpExtTCPAbortOnMemory",
            moves: "by 1",
        },
        KernelCounter {
            name: "TcpOutRsts",
            moves: "by 1",
        },
    ],
    myths: &[
        Myth {
            advice: "Lower tcp_max_orphans to save memory.",
            truth: "That causes these resets. The kernel's manual says to raise it instead.",
        },
        Myth {
            advice: "Lower tcp_fin_timeout to have fewer orphans.",
            truth: "With 60 s or less, almost all that waits in FIN_WAIT2 are small minisocks, \
                    which do not count as orphans.",
        },
    ],
    other_end: &[Ending::PeerResetAfterFin],
};

pub(super) const DESTROYED: Explanation = Explanation {
    problem: "Not if it was meant. The next call of the application fails with ECONNABORTED.",
    drawing: &[
        Step::established(),
        Step::sent("RST")
            .here("ss -K", Close)
            .there("", Close)
            .decides(),
    ],
    application: "Nothing. Somebody with CAP_NET_ADMIN destroyed its socket.",
    causes: &[
        "An operator wanted clients to connect anew, for instance after a failover.",
        "A container network removes connections to a backend that is gone.",
    ],
    next: &[],
    settings: &[],
    counters: &[
        KernelCounter {
            name: "TcpOutRsts",
            moves: "by 1; not for a minisock, which vanishes without a segment",
        },
        ESTABLISHED_RESETS,
    ],
    myths: &[Myth {
        advice: "tcpkill and firewalls show up here.",
        truth: "They forge a RST of the peer: that is peer_reset.",
    }],
    other_end: &[Ending::PeerReset, Ending::PeerResetWhileClosing],
};

pub(super) const OTHER: Explanation = Explanation {
    problem: "Look at one of them. Outside of Multipath TCP they are rare.",
    drawing: &[
        Step::established(),
        Step::sent("RST").here("", Close).there("", Close).decides(),
    ],
    application: "This ending does not say. The timeline shows what it called before.",
    causes: &["A subflow of a Multipath TCP connection was aborted."],
    next: &[
        Next {
            text: "See the timeline, the reset reason (6.10 and newer) and the error.",
            command: Some("sudo tcp-observer trace --json --ending reset_other --count 1"),
        },
        Next {
            text: "See whether Multipath TCP is in use.",
            command: Some("ss -M; nstat -az 'MPTcpExt*Rst*'"),
        },
    ],
    settings: &[],
    counters: &[OUT_RESETS, ESTABLISHED_RESETS],
    myths: &[],
    other_end: &[Ending::PeerReset],
};
