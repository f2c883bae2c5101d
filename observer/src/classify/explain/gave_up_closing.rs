//! The kernel stopped waiting for the peer after the application had closed.

use super::shared::{ABORT_ON_TIMEOUT, FIN_TIMEOUT_AND_TIME_WAIT, MINISOCK};
use super::{Ending, Explanation, KernelCounter, Myth, Next, Setting, Step};
use crate::event::State::{Close, CloseWait, FinWait1, FinWait2};

pub(super) const ORPHAN: Explanation = Explanation {
    problem: "Perhaps: what was written last may never have arrived, and nobody was told. Many \
              of them at once use up memory and tcp_max_orphans.",
    drawing: &[
        Step::established(),
        Step::sent_lost("FIN").here("close()", FinWait1),
        Step::sent_lost("FIN"),
        Step::sent_lost("FIN"),
        Step::quiet("retries spent").here("", Close).decides(),
    ],
    application: "It had closed, or exited, and is not told. The kernel alone held the socket, \
                  as an orphan, and sent the rest again and again.",
    causes: &[
        "A client lost its network just before the end, as mobile ones do.",
        "A firewall or NAT forgot the connection and drops its segments.",
    ],
    next: &[
        Next {
            text: "See the orphans now: no process, timer:(on,TIME,RETRIES).",
            command: Some("sudo ss -tanop state fin-wait-1 state last-ack"),
        },
        Next {
            text: "In the application: to know that all has arrived, shutdown(SHUT_WR) and \
                   read until recv() returns 0 before close().",
            command: None,
        },
    ],
    settings: &[
        Setting {
            name: "tcp_orphan_retries",
            effect: "The default 0 means 8: gives up after about 100 s.",
        },
        Setting {
            name: "TCP_USER_TIMEOUT",
            effect: "Bounds it by time, also after close().",
        },
        Setting {
            name: "tcp_max_orphans",
            effect: "Above it orphans are reset at once (reset_out_of_memory).",
        },
    ],
    counters: &[ABORT_ON_TIMEOUT],
    myths: &[
        Myth {
            advice: "Lower tcp_fin_timeout.",
            truth: "It bounds FIN_WAIT2, where the FIN is acknowledged. This end was in \
                    FIN_WAIT1, CLOSING or LAST_ACK.",
        },
        Myth {
            advice: "tcp_orphan_retries 0 means no retries.",
            truth: "It means 8, as long as the retransmission timer is below its maximum.",
        },
    ],
    other_end: &[Ending::TimeoutKeepalive, Ending::TimeoutRetransmit],
};

pub(super) const FIN_WAIT2: Explanation = Explanation {
    problem: "Not here: all data arrived, and this end frees itself. At the peer a socket stays \
              in CLOSE_WAIT, and if that repeats, it leaks them.",
    drawing: &[
        Step::established(),
        Step::sent("FIN")
            .here("close()", FinWait1)
            .there("", CloseWait),
        Step::received("ACK").here("", FinWait2),
        Step::quiet("tcp_fin_timeout").here("", Close).decides(),
    ],
    application: "It closed. The application at the other end did not.",
    causes: &[
        "The peer still works on its answer, and does not know that nobody waits for it.",
        "The peer vanished after its last ACK.",
    ],
    next: &[
        Next {
            text: "At the peer: see what is in CLOSE_WAIT, and which process holds it.",
            command: Some("sudo ss -tanp state close-wait"),
        },
        Next {
            text: "Here: see what waits for the peer's FIN.",
            command: Some("ss -tano state fin-wait-2"),
        },
    ],
    settings: &[
        Setting {
            name: "tcp_fin_timeout",
            effect: "Seconds that a closed socket waits in FIN_WAIT2; default 60.",
        },
        Setting {
            name: "TCP_LINGER2",
            effect: "The same for one socket, 120 at most.",
        },
    ],
    counters: &[
        MINISOCK,
        KernelCounter {
            name: "TcpOutRsts",
            moves: "by 1 if a full socket waited, not a minisock (attribute reset_sent)",
        },
    ],
    myths: &[
        Myth {
            advice: "FIN_WAIT2 always ends after tcp_fin_timeout.",
            truth: "Only once the application has closed. After shutdown(SHUT_WR) with the \
                    socket still open it lasts as long as the peer likes.",
        },
        FIN_TIMEOUT_AND_TIME_WAIT,
    ],
    other_end: &[Ending::PeerResetAfterFin, Ending::PeerResetWhileClosing],
};
