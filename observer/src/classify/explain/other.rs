//! Connections that never began, or ended without a word.

use super::shared::{
    ATTEMPT_FAILS, FEWER_BUCKETS, FIN_TIMEOUT_AND_TIME_WAIT, LINGER_ZERO_AGAINST_TIME_WAIT,
    TW_RECYCLE,
};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, Established, SynSent};

pub(super) const CONNECT_FAILED: Explanation = Explanation {
    problem: "Yes. connect() failed at once, usually with EADDRNOTAVAIL: every local port is \
              taken for this address and port of the peer.",
    drawing: &[
        Step::quiet("no SYN is sent").here("connect()", SynSent),
        Step::quiet("").here("EADDRNOTAVAIL", Close).decides(),
    ],
    application: "It called connect(). Without any route connect() fails earlier still, and \
                  no connection ends.",
    causes: &[
        "Many short connections to one server: each leaves a TIME_WAIT of 60 s, so that more \
         than 470 a second use up the 28232 ports of the default range.",
        "Connections that are never closed.",
        "The application binds one local port and connects twice to the same peer.",
    ],
    next: &[
        Next {
            text: "Count what holds the ports, by state.",
            command: Some("ss -Htan dst PEER | awk '{print $1}' | sort | uniq -c"),
        },
        Next {
            text: "See the range.",
            command: Some("sysctl net.ipv4.ip_local_port_range"),
        },
        Next {
            text: "Best cure first: keep connections and use them again; more addresses or \
                   ports at either end; a wider range; tcp_tw_reuse 1.",
            command: None,
        },
    ],
    settings: &[
        Setting {
            name: "ip_local_port_range",
            effect: "32768 60999: 28232 ports for each local address and each address and port \
                     of a peer.",
        },
        Setting {
            name: "tcp_tw_reuse",
            effect: "1 lets connect() take a port out of TIME_WAIT after 1 s, if both ends use \
                     TCP timestamps; the default 2 does so on loopback only.",
        },
        Setting {
            name: "IP_BIND_ADDRESS_NO_PORT",
            effect: "For a client that binds a local address: the port is chosen at connect(), \
                     and may be shared between peers.",
        },
    ],
    counters: &[],
    myths: &[
        TW_RECYCLE,
        FIN_TIMEOUT_AND_TIME_WAIT,
        FEWER_BUCKETS,
        LINGER_ZERO_AGAINST_TIME_WAIT,
    ],
    other_end: &[],
};

pub(super) const NEVER_ESTABLISHED: Explanation = Explanation {
    problem: "Rarely. Look at it if it always happens after the same time: that is a timeout of \
              the application.",
    drawing: &[
        Step::sent("SYN").here("connect()", SynSent),
        Step::quiet("no answer yet")
            .here("close()", Close)
            .decides(),
        Step::received("SYN-ACK, if late"),
        Step::sent("RST"),
    ],
    application: "It closed the socket, or exited, while connect() waited for an answer.",
    causes: &[
        "A client tries IPv6 and IPv4 at once and drops the slower (Happy Eyeballs).",
        "The SYN was lost, and the application does not wait the second until the next one.",
        "The server does not answer, and the application gives up before the kernel does.",
    ],
    next: &[Next {
        text: "See what waits now, and the way to the peer.",
        command: Some("ss -tanop state syn-sent; ip route get PEER"),
    }],
    settings: &[],
    counters: &[KernelCounter {
        name: "TcpOutRsts",
        moves: "by 1 if a SYN-ACK comes late and finds no socket",
    }],
    myths: &[Myth {
        advice: "TcpAttemptFails counts every connect that failed.",
        truth: "Not this one, nor connect_failed: it counts what the peer or the network \
                refused and what the kernel gave up.",
    }],
    other_end: &[],
};

pub(super) const DROPPED_SILENTLY: Explanation = Explanation {
    problem: "Perhaps, for the peer: it is not told, and finds out when it sends or by \
              keepalive.",
    drawing: &[
        Step::established(),
        Step::quiet("nothing is sent")
            .here("", Close)
            .there("", Established)
            .decides(),
    ],
    application: "It closed a socket in TCP_REPAIR mode, or did nothing: its network namespace \
                  or its socket was taken away.",
    causes: &[
        "A checkpoint tool such as CRIU moved the connection: it may live on elsewhere.",
        "`ss -K` in SYN_SENT, CLOSING or LAST_ACK, where there is nothing to reset.",
        "close() with SO_LINGER 0 in CLOSING or LAST_ACK, with all data sent.",
    ],
    next: &[
        Next {
            text: "See the timeline: who, in which state, and the error.",
            command: Some("sudo tcp-observer trace --json --ending dropped_silently --count 1"),
        },
        Next {
            text: "See whether containers or namespaces ended at that time.",
            command: Some("ip netns list; lsns -t net"),
        },
    ],
    settings: &[Setting {
        name: "SO_KEEPALIVE",
        effect: "At the peer: lets it find out.",
    }],
    counters: &[
        KernelCounter {
            name: "TcpEstabResets",
            moves: "by 1 from ESTABLISHED or CLOSE_WAIT, though no reset is sent",
        },
        ATTEMPT_FAILS_IN_SYN_SENT,
        KernelCounter {
            name: "TcpExtTCPAbortOnData",
            moves: "by 1 if it was close() with SO_LINGER 0",
        },
    ],
    myths: &[],
    other_end: &[
        Ending::TimeoutKeepalive,
        Ending::TimeoutRetransmit,
        Ending::PeerReset,
    ],
};

const ATTEMPT_FAILS_IN_SYN_SENT: KernelCounter = KernelCounter {
    name: ATTEMPT_FAILS.name,
    moves: "by 1 in SYN_SENT",
};

pub(super) const UNKNOWN: Explanation = Explanation {
    problem: "Of the view, not of the connection: the agent missed what would tell.",
    drawing: &[Step::quiet("not seen").decides()],
    application: "Not known.",
    causes: &[
        "This kernel, or these privileges, hide a part of it.",
        "The agent followed too many connections and let go of this one.",
    ],
    next: &[
        Next {
            text: "See what this kernel hides from the agent, and what to do about it.",
            command: Some("sudo tcp-observer check"),
        },
        Next {
            text: "See what was lost while the agent runs.",
            command: Some("curl -s 127.0.0.1:10793/metrics | grep -E '_lost|evictions'"),
        },
    ],
    settings: &[Setting {
        name: "--ring-size",
        effect: "More memory for events, if they were lost.",
    }],
    counters: &[],
    myths: &[],
    other_end: &[],
};
