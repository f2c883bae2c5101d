//! This host sent a RST, because of what the application did.

use super::shared::{
    ABORT_ON_LINGER, ESTABLISHED_RESETS, LINGER_ZERO_AGAINST_TIME_WAIT, MINISOCK, OUT_RESETS,
};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, CloseWait, FinWait1, FinWait2};

pub(super) const UNREAD_DATA: Explanation = Explanation {
    problem: "Often. The peer gets ECONNRESET, and may lose the last answer of this end with it: \
              what the peer has not yet acknowledged is not sent again.",
    drawing: &[
        Step::established(),
        Step::received("data").act_there("send()"),
        Step::sent("ACK").act_here("no recv()"),
        Step::sent("RST")
            .here("close()", Close)
            .there("", Close)
            .decides(),
    ],
    application: "It called close(), or exited, while bytes that it had not read were in its \
                  receive queue. The ACK had said that they arrived; the RST says that nobody \
                  took them.",
    causes: &[
        "A server answers before it has read the whole request, such as 413 to an upload.",
        "A client has seen enough of a download.",
        "A process exits, or is killed, with requests in its sockets.",
        "Bytes after the end of the message are never read, such as TLS close_notify.",
    ],
    next: &[
        Next {
            text: "In the application: shutdown(SHUT_WR), read until recv() returns 0 or for a \
                   few seconds, then close(). nginx calls this lingering_close.",
            command: None,
        },
        Next {
            text: "See what waits to be read now: Recv-Q, with the process.",
            command: Some("sudo ss -tnp sport = :PORT"),
        },
    ],
    settings: &[],
    counters: &[
        KernelCounter {
            name: "TcpExtTCPAbortOnClose",
            moves: "by 1",
        },
        OUT_RESETS,
        ESTABLISHED_RESETS,
    ],
    myths: &[Myth {
        advice: "Set SO_LINGER with a time, so that close() waits.",
        truth: "The kernel looks for unread data before it looks at SO_LINGER. Only reading \
                prevents this reset.",
    }],
    other_end: &[Ending::PeerReset, Ending::PeerResetWhileClosing],
};

pub(super) const LINGER_ZERO: Explanation = Explanation {
    problem: "Only if the peer still needed something. What the peer has not yet acknowledged \
              may be lost, it gets ECONNRESET, and no TIME_WAIT protects the next connection of these ports.",
    drawing: &[
        Step::established(),
        Step::sent("RST")
            .here("close()", Close)
            .there("", Close)
            .decides(),
    ],
    application: "It set SO_LINGER with l_onoff 1 and l_linger 0, and then called close() or \
                  exited. That asks for an abortive close: a RST instead of a FIN.",
    causes: &[
        "A health check or a load generator cuts its connections off.",
        "A server cuts off a client on purpose.",
        "A library sets it, such as SetLinger(0) in Go or setSoLinger(true, 0) in Java.",
    ],
    next: &[Next {
        text: "Watch who sets the option.",
        command: Some("sudo strace -f -e trace=setsockopt -p PID"),
    }],
    settings: &[Setting {
        name: "SO_LINGER",
        effect: "{1, 0} makes close() reset; {1, N} makes it wait up to N s until the peer has \
                 acknowledged everything; off (the default) closes in the background.",
    }],
    counters: &[
        KernelCounter {
            name: "TcpExtTCPAbortOnData",
            moves: "by 1; it also counts data after close",
        },
        OUT_RESETS,
        ESTABLISHED_RESETS,
    ],
    myths: &[ABORT_ON_LINGER, LINGER_ZERO_AGAINST_TIME_WAIT],
    other_end: &[Ending::PeerReset, Ending::PeerResetWhileClosing],
};

pub(super) const DATA_AFTER_CLOSE: Explanation = Explanation {
    problem: "Often. What the peer sent last is lost, and its next send() fails with EPIPE or \
              ECONNRESET.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::received("ACK").here("", FinWait2),
        Step::received("data").act_there("send()"),
        Step::sent("RST").here("", Close).there("", Close).decides(),
    ],
    application: "It called close() or shutdown(SHUT_RDWR), or exited, while the peer was still \
                  sending. Nobody here can read any more, so the kernel answers with a RST.",
    causes: &[
        "A client gives up before the answer is complete.",
        "An idle timeout here closed just as the peer sent its next request.",
    ],
    next: &[
        Next {
            text: "In the application: shutdown(SHUT_WR), read until recv() returns 0, then \
                   close().",
            command: None,
        },
        Next {
            text: "Compare the idle timeouts: the side that sends requests must have the \
                   shorter one, so that it never writes to a connection that is being closed.",
            command: None,
        },
        Next {
            text: "See what this end has closed and the peer has not.",
            command: Some("ss -tano state fin-wait-2"),
        },
    ],
    settings: &[Setting {
        name: "tcp_fin_timeout",
        effect: "How long this end waits in FIN_WAIT2. Data that comes later gets a RST, too, but \
                 the ending is timeout_fin_wait2 by then.",
    }],
    counters: &[
        OUT_RESETS,
        KernelCounter {
            name: "TcpExtTCPAbortOnData",
            moves: "by 1 if the full socket was still there; not for a minisock (attribute \
                    minisock)",
        },
        MINISOCK,
    ],
    myths: &[Myth {
        advice: "Set SO_LINGER with a time, so that close() waits for the peer.",
        truth: "It waits until the peer has acknowledged this end's data and FIN, not until \
                the peer has said all that it has to say.",
    }],
    other_end: &[Ending::PeerResetAfterFin],
};

pub(super) const DISCONNECT: Explanation = Explanation {
    problem: "For the peer it is a reset like any other, and what it has not yet acknowledged \
              may be lost. For this end no, if it was meant.",
    drawing: &[
        Step::established(),
        Step::sent("RST")
            .here("connect(AF_UNSPEC)", Close)
            .there("", Close)
            .decides(),
    ],
    application: "It called connect() with the address family AF_UNSPEC on a connected socket. \
                  The descriptor stays open and may connect again.",
    causes: &["Code written for UDP, where the call only forgets the peer, got a TCP socket."],
    next: &[Next {
        text: "Watch the calls of the process.",
        command: Some("sudo strace -f -e trace=connect -p PID"),
    }],
    settings: &[],
    counters: &[OUT_RESETS, ESTABLISHED_RESETS],
    myths: &[],
    other_end: &[Ending::PeerReset, Ending::PeerResetWhileClosing],
};

pub(super) const LINGER2: Explanation = Explanation {
    problem: "What this end sent has arrived: its FIN was acknowledged. What the peer had still \
              to say is lost, and it gets EPIPE or ECONNRESET.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::received("ACK").here("", FinWait2),
        Step::sent("RST").here("", Close).there("", Close).decides(),
    ],
    application: "It set TCP_LINGER2 below 0 and closed. The kernel then does not wait for the \
                  peer's FIN: it resets as soon as its own is acknowledged.",
    causes: &["A busy server wants no sockets in FIN_WAIT2."],
    next: &[Next {
        text: "Watch who sets the option.",
        command: Some("sudo strace -f -e trace=setsockopt -p PID"),
    }],
    settings: &[
        Setting {
            name: "TCP_LINGER2",
            effect: "Above 0: seconds in FIN_WAIT2 for this socket, 120 at most. 0: as \
                     tcp_fin_timeout says. Below 0: no FIN_WAIT2, but this reset.",
        },
        Setting {
            name: "tcp_fin_timeout",
            effect: "The time in FIN_WAIT2 of sockets without the option.",
        },
    ],
    counters: &[
        KernelCounter {
            name: "TcpExtTCPAbortOnData",
            moves: "by 1 if the FIN was acknowledged after close(), which is usual",
        },
        KernelCounter {
            name: "TcpExtTCPAbortOnLinger",
            moves: "by 1 if it was acknowledged before: shutdown(SHUT_WR), then close()",
        },
        OUT_RESETS,
    ],
    myths: &[ABORT_ON_LINGER],
    other_end: &[Ending::PeerResetAfterFin],
};
