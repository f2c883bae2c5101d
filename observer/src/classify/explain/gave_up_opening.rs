//! The kernel stopped waiting for an answer to a SYN.

use super::shared::{ABORT_ON_TIMEOUT, ATTEMPT_FAILS};
use super::{Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, SynSent};

pub(super) const CONNECT: Explanation = Explanation {
    problem: "Yes, if the service should be up. connect() failed with ETIMEDOUT after two \
              minutes, or after what the application allows.",
    drawing: &[
        Step::sent_lost("SYN").here("connect()", SynSent),
        Step::sent_lost("SYN"),
        Step::sent_lost("SYN"),
        Step::quiet("tcp_syn_retries sent")
            .here("", Close)
            .decides(),
    ],
    application: "It called connect(), and nothing came back: no SYN-ACK, no RST, no ICMP.",
    causes: &[
        "The SYN-ACK is lost on its way back: another route, or a firewall that saw no SYN.",
        "The address is wrong, and no router says so.",
        "A firewall of this host drops the SYN on its way out.",
    ],
    next: &[
        Next {
            text: "See whether the SYN leaves, and whether anything comes back.",
            command: Some("sudo tcpdump -ni any host PEER and tcp port PORT"),
        },
        Next {
            text: "On the server: is the accept queue full (Recv-Q above Send-Q), did it \
                   overflow?",
            command: Some("ss -ltn sport = :PORT; nstat -az TcpExtListenOverflows"),
        },
        Next {
            text: "See which way the SYN goes, and what waits now.",
            command: Some("ip route get PEER; ss -tanop state syn-sent"),
        },
    ],
    settings: &[
        Setting {
            name: "tcp_syn_retries",
            effect: "6: gives up after 127 s; since 6.5 after 131 s, with the 4 further SYNs of \
                     tcp_syn_linear_timeouts.",
        },
        Setting {
            name: "TCP_SYNCNT",
            effect: "The same for one socket.",
        },
        Setting {
            name: "TCP_USER_TIMEOUT",
            effect: "Bounds connect(), too: milliseconds.",
        },
        Setting {
            name: "somaxconn",
            effect: "On the server: with the argument of listen(), the length of the accept \
                     queue. A full one drops SYNs.",
        },
    ],
    counters: &[
        ATTEMPT_FAILS,
        ABORT_ON_TIMEOUT,
        KernelCounter {
            name: "TcpExtTCPSynRetrans",
            moves: "by 1 for each SYN sent again",
        },
    ],
    myths: &[
        Myth {
            advice: "Raise tcp_syn_retries.",
            truth: "The application only waits longer. To fail sooner, lower it or TCP_SYNCNT.",
        },
        Myth {
            advice: "Set tcp_abort_on_overflow on the server.",
            truth: "It does not answer the SYNs that a full queue drops. It resets clients \
                    that have finished the handshake and would recover from a burst.",
        },
    ],
    other_end: &[],
};

pub(super) const UNREACHABLE: Explanation = Explanation {
    problem: "Yes, if the service should be up. connect() failed with EHOSTUNREACH, \
              ENETUNREACH, ECONNREFUSED or another error that ICMP names.",
    drawing: &[
        Step::sent("SYN")
            .here("connect()", SynSent)
            .act_there("router or firewall"),
        Step::received("ICMP error").here("", Close).decides(),
    ],
    application: "It called connect(). `error` in --json is the errno that it got: 111 is \
                  ECONNREFUSED, 113 EHOSTUNREACH, 101 ENETUNREACH.",
    causes: &[
        "REJECT of iptables and nftables answers with ICMP port unreachable unless told \
         otherwise: the application sees ECONNREFUSED, though no RST came.",
        "Nobody answers ARP or neighbour discovery: this host itself says EHOSTUNREACH.",
        "A router has no route, or its rules forbid it.",
    ],
    next: &[
        Next {
            text: "See who says so, and what.",
            command: Some("sudo tcpdump -nvi any 'icmp[icmptype] == icmp-unreach or icmp6'"),
        },
        Next {
            text: "See the route, and whether the next hop has a link address.",
            command: Some("ip route get PEER; ip neigh show"),
        },
    ],
    settings: &[],
    counters: &[ATTEMPT_FAILS],
    myths: &[Myth {
        advice: "Block ICMP, so that it cannot end connections.",
        truth: "After the handshake an ICMP error ends none: the kernel only remembers it for \
                the case that all retransmissions fail. Blocking it breaks path MTU discovery, \
                and turns this quick answer into timeout_connect.",
    }],
    other_end: &[],
};
