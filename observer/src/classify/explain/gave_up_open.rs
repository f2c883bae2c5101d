//! The kernel stopped waiting for the peer of an open connection.

use super::shared::{ABORT_ON_TIMEOUT, ESTABLISHED_RESETS};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::Close;

const RETRANSMITTED: KernelCounter = KernelCounter {
    name: "TcpRetransSegs",
    moves: "by 1 for each segment sent again",
};

const USER_TIMEOUT: Setting = Setting {
    name: "TCP_USER_TIMEOUT",
    effect: "Milliseconds, for one socket. It bounds data without ACK, a shut window and \
             connect(), and replaces TCP_KEEPCNT.",
};

const NO_KEEPALIVE_BESIDE_DATA: Myth = Myth {
    advice: "Turn on keepalive to notice this sooner.",
    truth: "While data waits for an ACK or for window, no keepalive probe is sent. \
            TCP_USER_TIMEOUT bounds that wait.",
};

/// What the peer's socket does that was left behind without a RST.
const LEFT_ALONE: &[Ending] = &[
    Ending::TimeoutKeepalive,
    Ending::TimeoutRetransmit,
    Ending::PeerReset,
];

pub(super) const RETRANSMIT: Explanation = Explanation {
    problem: "Yes. The next call fails with ETIMEDOUT, or with what ICMP said last \
              (EHOSTUNREACH, ENETUNREACH). No RST is sent: if the peer lives, it still holds \
              the connection.",
    drawing: &[
        Step::established(),
        Step::sent_lost("data").act_here("send()"),
        Step::sent_lost("data"),
        Step::sent_lost("data"),
        Step::quiet("tcp_retries2 spent").here("", Close).decides(),
    ],
    application: "It sent data, and waited for an answer or went on sending.",
    causes: &[
        "The other host lost power or network, or a VPN or link on the way went down.",
        "A firewall or NAT forgot the connection and drops its segments.",
        "Large segments vanish where small ones pass: path MTU discovery is blocked.",
    ],
    next: &[
        Next {
            text: "See what retransmits now: timer:(on,TIME,RETRIES), unacked, backoff.",
            command: Some("ss -tnoi dst PEER"),
        },
        Next {
            text: "See the route, and whether full-sized packets pass.",
            command: Some("ip route get PEER; ping -c 3 -M do -s 1472 PEER"),
        },
    ],
    settings: &[
        Setting {
            name: "tcp_retries2",
            effect: "15: gives up after 924 s at the earliest; 8: after 102 s, about the least \
                     that RFC 1122 allows. For the whole network namespace.",
        },
        USER_TIMEOUT,
    ],
    counters: &[ABORT_ON_TIMEOUT, ESTABLISHED_RESETS, RETRANSMITTED],
    myths: &[NO_KEEPALIVE_BESIDE_DATA],
    other_end: LEFT_ALONE,
};

pub(super) const USER: Explanation = Explanation {
    problem: "Yes for the data that was not acknowledged. The bound itself did its work. No \
              RST is sent: if the peer lives, it still holds the connection.",
    drawing: &[
        Step::established(),
        Step::sent_lost("data").act_here("send()"),
        Step::sent_lost("data"),
        Step::quiet("TCP_USER_TIMEOUT").here("", Close).decides(),
    ],
    application: "It had set TCP_USER_TIMEOUT, and sent data. Its next call fails with \
                  ETIMEDOUT, or with what ICMP said last.",
    causes: &["The bound is shorter than a failover of the network takes."],
    next: &[Next {
        text: "See what retransmits now: timer:(on,TIME,RETRIES), unacked, backoff.",
        command: Some("ss -tnoi dst PEER"),
    }],
    settings: &[
        USER_TIMEOUT,
        Setting {
            name: "tcp_retries2",
            effect: "Not used for data without ACK while TCP_USER_TIMEOUT is set.",
        },
    ],
    counters: &[ABORT_ON_TIMEOUT, ESTABLISHED_RESETS, RETRANSMITTED],
    myths: &[Myth {
        advice: "TCP_USER_TIMEOUT makes keepalive needless.",
        truth: "It does nothing while nothing waits for an ACK. An idle connection needs \
                SO_KEEPALIVE as well.",
    }],
    other_end: LEFT_ALONE,
};

pub(super) const KEEPALIVE: Explanation = Explanation {
    problem: "The peer, or the way to it, is gone; keepalive did its work. The next call fails \
              with ETIMEDOUT, or with what ICMP said last.",
    drawing: &[
        Step::established(),
        Step::quiet("idle for TCP_KEEPIDLE"),
        Step::sent_lost("probe"),
        Step::sent_lost("probe"),
        Step::quiet("TCP_KEEPCNT sent"),
        Step::sent_lost("RST").here("", Close).decides(),
    ],
    application: "It had set SO_KEEPALIVE, and the connection was idle.",
    causes: &[
        "A load balancer, NAT or firewall forgot the idle connection and drops the probes.",
        "The other host lost power or network, or sleeps.",
    ],
    next: &[
        Next {
            text: "See which sockets have keepalive, and when it fires.",
            command: Some("ss -tno | grep keepalive"),
        },
        Next {
            text: "See the defaults of this host.",
            command: Some("grep . /proc/sys/net/ipv4/tcp_keepalive_*"),
        },
    ],
    settings: &[
        Setting {
            name: "SO_KEEPALIVE",
            effect: "Off unless the application sets it.",
        },
        Setting {
            name: "TCP_KEEPIDLE",
            effect: "Idle seconds before the first probe; default tcp_keepalive_time, 7200.",
        },
        Setting {
            name: "TCP_KEEPINTVL",
            effect: "Seconds between probes; default tcp_keepalive_intvl, 75.",
        },
        Setting {
            name: "TCP_KEEPCNT",
            effect: "Probes without answer; default tcp_keepalive_probes, 9. Ignored while \
                     TCP_USER_TIMEOUT is set.",
        },
    ],
    counters: &[
        KernelCounter {
            name: "TcpExtTCPKeepAlive",
            moves: "by 1 for each probe",
        },
        ABORT_ON_TIMEOUT,
        KernelCounter {
            name: "TcpOutRsts",
            moves: "by 1",
        },
        ESTABLISHED_RESETS,
    ],
    myths: &[
        Myth {
            advice: "Lower tcp_keepalive_time, and every connection is probed.",
            truth: "Only sockets with SO_KEEPALIVE are.",
        },
        Myth {
            advice: "SO_KEEPALIVE keeps NAT and load balancers from forgetting.",
            truth: "Not by default: the first probe goes out after 2 hours, and most of them \
                    forget within minutes. TCP_KEEPIDLE must be shorter than their limit.",
        },
    ],
    other_end: LEFT_ALONE,
};

pub(super) const ZERO_WINDOW: Explanation = Explanation {
    problem: "Yes. What was not sent is lost; if the application here still holds the socket, \
              its next call fails with ETIMEDOUT. No RST is sent.",
    drawing: &[
        Step::established(),
        Step::sent("data").act_here("send()").act_there("no recv()"),
        Step::received("ACK, window 0"),
        Step::sent_lost("window probe"),
        Step::sent_lost("window probe"),
        Step::quiet("probes or time spent")
            .here("", Close)
            .decides(),
    ],
    application: "It wrote more than the peer was ready to take. The rest stayed in the send \
                  queue here.",
    causes: &[
        "The process there is stopped, deadlocked, or blocked on something else.",
        "The peer vanished while its window was shut.",
    ],
    next: &[
        Next {
            text: "Here: see which sockets probe a shut window: timer:(persist,...), Send-Q.",
            command: Some("ss -tnoi dst PEER"),
        },
        Next {
            text: "At the peer: see what its application does not read: Recv-Q.",
            command: Some("sudo ss -tnp sport = :PORT"),
        },
    ],
    settings: &[
        Setting {
            name: "TCP_USER_TIMEOUT",
            effect: "Milliseconds that the window may stay shut, whether the peer answers the \
                     probes or not.",
        },
        Setting {
            name: "tcp_retries2",
            effect: "How many probes in a row may stay without answer.",
        },
        Setting {
            name: "tcp_orphan_retries",
            effect: "The same once the application here has closed.",
        },
    ],
    counters: &[
        ABORT_ON_TIMEOUT,
        ESTABLISHED_RESETS,
        KernelCounter {
            name: "TcpExtTCPWinProbe",
            moves: "by 1 for each window probe",
        },
    ],
    myths: &[
        Myth {
            advice: "The kernel drops a peer that does not read.",
            truth: "As long as the peer answers the probes, it waits for ever, unless \
                    TCP_USER_TIMEOUT is set or the application here closes.",
        },
        NO_KEEPALIVE_BESIDE_DATA,
    ],
    other_end: &[Ending::PeerReset],
};
