//! Both ends exchanged a FIN.

use super::shared::{
    FEWER_BUCKETS, FIN_TIMEOUT_AND_TIME_WAIT, LINGER_ZERO_AGAINST_TIME_WAIT, MINISOCK, TW_RECYCLE,
};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, CloseWait, Closing, FinWait1, FinWait2, LastAck, TimeWait};

pub(super) const ACTIVE_CLOSE: Explanation = Explanation {
    problem: "No: this is how a connection should end. It costs a local port for 60 s, which \
              matters only to a client that opens very many connections to one server.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::received("ACK").here("", FinWait2),
        Step::received("FIN")
            .here("", TimeWait)
            .there("close()", LastAck)
            .decides(),
        Step::sent("ACK").there("", Close),
        Step::quiet("60 s").here("", Close),
    ],
    application: "It called close() or shutdown(SHUT_WR), or exited, before the peer did. The \
                  kernel sent what was left to send, and then the FIN.",
    causes: &[
        "The protocol gives this side the last word, such as an HTTP server that answers \
         `Connection: close`.",
        "An idle timeout here closed a connection that was kept open.",
    ],
    next: &[Next {
        text: "Count what is in TIME_WAIT now, by address and port of the peer.",
        command: Some("ss -Htan state time-wait | awk '{print $4}' | sort | uniq -c | sort -n"),
    }],
    settings: &[
        Setting {
            name: "tcp_tw_reuse",
            effect: "1 lets connect() take a port out of TIME_WAIT after 1 s, if both ends use \
                     TCP timestamps; the default 2 does so on loopback only.",
        },
        Setting {
            name: "tcp_max_tw_buckets",
            effect: "How many TIME_WAITs may exist. Above it this end closes without one \
                     (attribute time_wait_overflow).",
        },
    ],
    counters: &[
        MINISOCK,
        KernelCounter {
            name: "TcpExtTCPTimeWaitOverflow",
            moves: "by 1 instead, above tcp_max_tw_buckets or without memory",
        },
    ],
    myths: &[
        FIN_TIMEOUT_AND_TIME_WAIT,
        TW_RECYCLE,
        Myth {
            advice: "Set tcp_tw_reuse on a server that has many TIME_WAITs.",
            truth: "Only connect() asks for it. A server that only accepts gains nothing, and \
                    needs nothing: a new SYN from the same port may take over a TIME_WAIT \
                    without it.",
        },
        FEWER_BUCKETS,
        LINGER_ZERO_AGAINST_TIME_WAIT,
    ],
    other_end: &[Ending::PassiveClose],
};

pub(super) const PASSIVE_CLOSE: Explanation = Explanation {
    problem: "No. It is one only if the time in CLOSE_WAIT is long: then the application here \
              does not notice the end of the stream, or leaks its sockets.",
    drawing: &[
        Step::established(),
        Step::received("FIN")
            .here("", CloseWait)
            .there("close()", FinWait1),
        Step::sent("ACK").there("", FinWait2),
        Step::sent("FIN")
            .here("close()", LastAck)
            .there("", TimeWait),
        Step::received("ACK").here("", Close).decides(),
    ],
    application: "It closed after the peer had. Since the peer's FIN came, recv() returns 0 as \
                  soon as the data before it is read.",
    causes: &[
        "The protocol lets the peer close.",
        "The peer's idle timeout is shorter than the pause between two requests.",
    ],
    next: &[
        Next {
            text: "See what is in CLOSE_WAIT now, and which process holds it.",
            command: Some("sudo ss -tanp state close-wait"),
        },
        Next {
            text: "List ended connections that spent more than 5 s in CLOSE_WAIT.",
            command: Some("sudo tcp-observer trace --json | jq 'select(.phases.close_wait > 5)'"),
        },
    ],
    settings: &[Setting {
        name: "SO_KEEPALIVE",
        effect: "Lets the kernel find out that the peer is gone while the application here \
                 stays in CLOSE_WAIT.",
    }],
    counters: &[],
    myths: &[Myth {
        advice: "Lower tcp_fin_timeout to get rid of CLOSE_WAIT.",
        truth: "No sysctl bounds CLOSE_WAIT: it waits for the application to close. Only the \
                application can be mended.",
    }],
    other_end: &[Ending::ActiveClose],
};

pub(super) const SIMULTANEOUS_CLOSE: Explanation = Explanation {
    problem: "No. Both ends hold TIME_WAIT for 60 s.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("close()", FinWait1),
        Step::received("FIN").here("", Closing).there("", Closing),
        Step::sent("ACK").there("", TimeWait),
        Step::received("ACK").here("", TimeWait).decides(),
        Step::quiet("60 s").here("", Close).there("", Close),
    ],
    application: "It called close() or shutdown(SHUT_WR), and so did the peer before either \
                  FIN had arrived.",
    causes: &["Both sides obey the same event, such as an end-of-stream message or one timeout."],
    next: &[],
    settings: &[],
    counters: &[MINISOCK],
    myths: &[FIN_TIMEOUT_AND_TIME_WAIT],
    other_end: &[Ending::SimultaneousClose],
};
