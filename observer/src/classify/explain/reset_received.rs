//! The peer sent a RST.

use super::shared::{ATTEMPT_FAILS, MINISOCK};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, CloseWait, FinWait1, FinWait2, SynSent};

pub(super) const CONNECT_REFUSED: Explanation = Explanation {
    problem: "Yes, if the service should be up. connect() failed with ECONNREFUSED.",
    drawing: &[
        Step::sent("SYN")
            .here("connect()", SynSent)
            .act_there("no listener"),
        Step::received("RST").here("", Close).decides(),
    ],
    application: "It called connect(), and the other end answered at once that nobody is there.",
    causes: &[
        "The server listens on another address: only 127.0.0.1, or only IPv4 or IPv6.",
        "The server is restarting.",
        "A proxy or NAT answers for a backend that is gone.",
    ],
    next: &[
        Next {
            text: "On the server: see whether anybody listens, and on which address.",
            command: Some("sudo ss -ltnp sport = :PORT"),
        },
        Next {
            text: "See who answers: a TTL unlike that of other packets is a middlebox's.",
            command: Some("sudo tcpdump -nvi any 'host PEER and tcp[tcpflags] & tcp-rst != 0'"),
        },
    ],
    settings: &[],
    counters: &[ATTEMPT_FAILS],
    myths: &[Myth {
        advice: "The backlog is full; raise somaxconn.",
        truth: "Linux drops the SYN when the accept queue is full, which ends as \
                timeout_connect. With tcp_abort_on_overflow 1 it resets clients after the \
                handshake, which ends as peer_reset.",
    }],
    other_end: &[],
};

pub(super) const PEER_RESET: Explanation = Explanation {
    problem: "Likely: the next call of the application fails with ECONNRESET, and what the \
              peer had not taken is lost.",
    drawing: &[
        Step::established(),
        Step::received("RST")
            .here("", Close)
            .there("", Close)
            .decides(),
    ],
    application: "Nothing, as far as the wire tells. The reset was the other end's doing, or \
                  that of something on the way.",
    causes: &[
        "The server restarted while this connection was in its accept queue.",
        "The accept queue there was full, and tcp_abort_on_overflow is 1.",
        "The host there restarted, or gave the connection up, and has forgotten it.",
        "A load balancer, NAT or firewall forgot it after being idle.",
    ],
    next: &[
        Next {
            text: "Run the agent at the other end: it names the reason.",
            command: Some("sudo tcp-observer trace --port PORT"),
        },
        Next {
            text: "Compare how long such connections lived: a round number may be a timeout.",
            command: None,
        },
        Next {
            text: "See who sends the RST: a TTL unlike that of other packets is a middlebox's.",
            command: Some("sudo tcpdump -nvi any 'host PEER and tcp[tcpflags] & tcp-rst != 0'"),
        },
    ],
    settings: &[Setting {
        name: "TCP_KEEPIDLE",
        effect: "Below the idle limits on the way, and with SO_KEEPALIVE, it keeps middleboxes \
                 from forgetting the connection.",
    }],
    counters: &[KernelCounter {
        name: "TcpEstabResets",
        moves: "by 1; TcpAttemptFails instead from SYN_RECV (TCP Fast Open)",
    }],
    myths: &[Myth {
        advice: "TcpEstabResets tells how many resets came in.",
        truth: "It counts every change from ESTABLISHED or CLOSE_WAIT straight to CLOSE: resets \
                that this host sent, and timeouts, as well. Linux has no counter of received \
                RSTs.",
    }],
    other_end: &[
        Ending::ResetUnreadData,
        Ending::ResetLingerZero,
        Ending::ResetListenerClosed,
        Ending::ResetDestroyed,
        Ending::ResetDisconnect,
        Ending::ResetOther,
        Ending::TimeoutKeepalive,
    ],
};

pub(super) const AFTER_FIN: Explanation = Explanation {
    problem: "Yes, if what was sent after the peer's FIN mattered: it is lost. A process that \
              does not ignore SIGPIPE may die of its next write.",
    drawing: &[
        Step::established(),
        Step::received("FIN")
            .here("", CloseWait)
            .there("close()", FinWait1),
        Step::sent("ACK").there("", FinWait2),
        Step::sent("data").act_here("send()"),
        Step::received("RST")
            .here("", Close)
            .there("", Close)
            .decides(),
    ],
    application: "It sent data to a peer that had closed. That send() succeeds; the RST that \
                  answers makes the next one fail with EPIPE, and raise SIGPIPE unless \
                  MSG_NOSIGNAL is set.",
    causes: &[
        "A request went out on a kept connection just when the server closed it.",
        "The application writes for long without looking for the end of the stream.",
    ],
    next: &[
        Next {
            text: "Before a kept connection is used again, check that it is not readable; \
                   repeat requests that may be repeated.",
            command: None,
        },
        Next {
            text: "Compare the idle timeouts: the side that sends requests must have the \
                   shorter one.",
            command: None,
        },
    ],
    settings: &[],
    counters: &[KernelCounter {
        name: "TcpEstabResets",
        moves: "by 1",
    }],
    myths: &[Myth {
        advice: "send() succeeded, so the peer has the data.",
        truth: "It means that the kernel here has it. Even an ACK does not mean that the \
                application there read it.",
    }],
    other_end: &[
        Ending::ResetDataAfterClose,
        Ending::TimeoutFinWait2,
        Ending::ResetLinger2,
        Ending::ResetUnreadData,
        Ending::ResetOutOfMemory,
    ],
};

pub(super) const WHILE_CLOSING: Explanation = Explanation {
    problem: "Perhaps. If `unacked` is 0, the host there had received everything, but its \
              application may not have read all of it.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::received("ACK").here("", FinWait2),
        Step::received("RST")
            .here("", Close)
            .there("close()", Close)
            .decides(),
    ],
    application: "It had closed, and is not told. If it had only called shutdown(SHUT_WR), its \
                  next recv() fails with ECONNRESET.",
    causes: &[
        "A client has seen enough of an answer and closes without reading the rest.",
        "A peer or a middlebox saves itself the orderly close.",
    ],
    next: &[Next {
        text: "Run the agent at the other end: it names the reason.",
        command: Some("sudo tcp-observer trace --port PORT"),
    }],
    settings: &[],
    counters: &[MINISOCK],
    myths: &[Myth {
        advice: "nstat shows every reset.",
        truth: "Not this one. Linux has no counter of received RSTs, and TcpEstabResets counts \
                only in ESTABLISHED and CLOSE_WAIT.",
    }],
    other_end: &[
        Ending::ResetUnreadData,
        Ending::ResetLingerZero,
        Ending::ResetListenerClosed,
        Ending::ResetDisconnect,
        Ending::ResetDestroyed,
    ],
};
