//! Every program, map and global of the compiled object.
//!
//! Takes nothing; gives the [`Question`]s that the probes answer and the table [`PROGRAMS`]
//! of what answers them. A test of the agent checks it against the object.

use super::Kind;

/// The maps of the object.
pub const MAPS: &[&str] = &[
    "AYA_LOGS",
    "DROPS",
    "EVENTS",
    "MINISOCK_CALL",
    "SEEN",
    "SHED",
    "WAITING",
];

/// The ring buffer of the records.
pub const EVENTS: &str = "EVENTS";

/// The array of one word in which the agent says that it sleeps until it is woken.
pub const WAITING: &str = "WAITING";

/// The array of one word in which the agent says that it wants no records of how connections come to
/// be.
pub const SHED: &str = "SHED";

/// The per-CPU array that counts lost records, indexed by [`Kind`] number.
pub const DROPS: &str = "DROPS";

/// The licence that the object declares.
pub const LICENSE: &str = "Dual MIT/GPL";

/// Something that the agent wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// A connection changed state.
    State,
    /// The application let go.
    Close,
    /// We sent a reset.
    ResetSent,
    /// We answered a segment with a reset.
    ResetReply,
    /// A reset arrived.
    ResetReceived,
    /// The socket was disconnected, aborted, or forgotten in an accept queue.
    Teardown,
    /// A minisock took over, was answered, ended.
    Minisock,
    /// The kernel forgot the socket.
    Destroy,
    /// Who accepted.
    Accept,
}

impl Question {
    /// Every question, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::State,
        Self::Close,
        Self::ResetSent,
        Self::ResetReply,
        Self::ResetReceived,
        Self::Teardown,
        Self::Minisock,
        Self::Destroy,
        Self::Accept,
    ];

    /// The name that metrics and messages use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Close => "close",
            Self::ResetSent => "reset_sent",
            Self::ResetReply => "reset_reply",
            Self::ResetReceived => "reset_received",
            Self::Teardown => "teardown",
            Self::Minisock => "minisock",
            Self::Destroy => "destroy",
            Self::Accept => "accept",
        }
    }

    /// The question in words.
    pub const fn asks(self) -> &'static str {
        match self {
            Self::State => "a connection changed state",
            Self::Close => "the application let go",
            Self::ResetSent => "we sent a reset",
            Self::ResetReply => "we answered a segment with a reset",
            Self::ResetReceived => "a reset arrived",
            Self::Teardown => {
                "the socket was disconnected, aborted, or forgotten in an accept queue"
            }
            Self::Minisock => "a FIN_WAIT2 or TIME_WAIT minisock took over, was answered, ended",
            Self::Destroy => "the kernel forgot the socket",
            Self::Accept => "who accepted",
        }
    }

    /// The kinds of records that answer it. It is answered in full if each of them comes.
    pub const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::State => &[Kind::StateChanged],
            Self::Close => &[Kind::CloseCalled],
            Self::ResetSent => &[Kind::ResetSent],
            Self::ResetReply => &[Kind::ResetReplied],
            Self::ResetReceived => &[Kind::ResetReceived],
            Self::Teardown => &[Kind::Disconnected, Kind::Aborted, Kind::Forgotten],
            Self::Minisock => &[
                Kind::MinisockStarted,
                Kind::MinisockAnswered,
                Kind::MinisockEnded,
            ],
            Self::Destroy => &[Kind::Destroyed],
            Self::Accept => &[Kind::Accepted],
        }
    }

    /// The twin that is tried first: a tracepoint where it sees as much as a trampoline.
    pub const fn first_choice(self) -> Twin {
        match self {
            Self::ResetReply | Self::Destroy => Twin::Tracepoint,
            Self::State
            | Self::Close
            | Self::ResetSent
            | Self::ResetReceived
            | Self::Teardown
            | Self::Minisock
            | Self::Accept => Twin::Fentry,
        }
    }
}

/// By what means a probe is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twin {
    /// A BPF trampoline: fentry or fexit.
    Fentry,
    /// A kprobe or kretprobe.
    Kprobe,
    /// A BTF tracepoint.
    Tracepoint,
}

impl Twin {
    /// The name that metrics and messages use.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// Where a program attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Entry of a kernel function, by trampoline.
    Fentry(&'static str),
    /// Return of a kernel function, by trampoline.
    Fexit(&'static str),
    /// Entry of a kernel function, by breakpoint.
    Kprobe(&'static str),
    /// Return of a kernel function, by breakpoint.
    Kretprobe(&'static str),
    /// A tracepoint whose arguments BTF describes.
    Tracepoint(&'static str),
}

impl Hook {
    /// The kernel function or tracepoint.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Fentry(name)
            | Self::Fexit(name)
            | Self::Kprobe(name)
            | Self::Kretprobe(name)
            | Self::Tracepoint(name) => name,
        }
    }

    /// The column of the table that it belongs to.
    pub const fn twin(self) -> Twin {
        match self {
            Self::Fentry(_) | Self::Fexit(_) => Twin::Fentry,
            Self::Kprobe(_) | Self::Kretprobe(_) => Twin::Kprobe,
            Self::Tracepoint(_) => Twin::Tracepoint,
        }
    }

    /// What the section of its programs starts with.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Fentry(_) => "fentry",
            Self::Fexit(_) => "fexit",
            Self::Kprobe(_) => "kprobe",
            Self::Kretprobe(_) => "kretprobe",
            Self::Tracepoint(_) => "tp_btf",
        }
    }
}

/// Which arguments the hook must have for a program to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The program needs only arguments that every kernel has.
    Any,
    /// Exactly this many.
    Args(u8),
    /// None of type `enum sk_rst_reason`.
    NoReason,
    /// One of type `enum sk_rst_reason`, at this position.
    ReasonAt(u8),
}

/// What a program tells beyond what its question needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// The kernel's reset reason.
    Reason,
    /// Whether a reset's segment carries RST.
    Segment,
    /// Replies for minisocks and for no socket at all.
    EveryReply,
}

/// One program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it attaches.
    pub hook: Hook,
    /// The record that it sends.
    pub kind: Kind,
    /// Which hooks it fits.
    pub fits: Signature,
    /// Programs of one kind and twin with the same number attach together; where they cannot,
    /// the next number is tried.
    pub set: u8,
    /// What it tells besides.
    pub extras: &'static [Extra],
    /// It attaches after whichever program answers for its kind, and reports the events that
    /// the kernel skipped there.
    pub stands_in: bool,
}

const fn one(name: &'static str, hook: Hook, kind: Kind) -> Program {
    Program {
        name,
        hook,
        kind,
        fits: Signature::Any,
        set: 0,
        extras: &[],
        stands_in: false,
    }
}

impl Program {
    const fn fits(self, fits: Signature) -> Self {
        Self { fits, ..self }
    }

    const fn set(self, set: u8) -> Self {
        Self { set, ..self }
    }

    const fn stands_in(self) -> Self {
        Self {
            stands_in: true,
            ..self
        }
    }

    const fn extras(self, extras: &'static [Extra]) -> Self {
        Self { extras, ..self }
    }
}

use Extra::{EveryReply, Reason, Segment};
use Hook::{Fentry, Fexit, Kprobe, Kretprobe, Tracepoint};
use Signature::{Args, NoReason, ReasonAt};

/// Every program of the object.
#[rustfmt::skip]
pub const PROGRAMS: &[Program] = &[
    one("fentry_tcp_set_state", Fentry("tcp_set_state"), Kind::StateChanged),
    one("kprobe_tcp_set_state", Kprobe("tcp_set_state"), Kind::StateChanged),
    one("tp_inet_sock_set_state", Tracepoint("inet_sock_set_state"), Kind::StateChanged),
    one("tp_inet_sock_set_state_stand_in", Tracepoint("inet_sock_set_state"), Kind::StateChanged).stands_in(),

    one("fentry_tcp_close", Fentry("tcp_close"), Kind::CloseCalled),
    one("kprobe_tcp_close", Kprobe("tcp_close"), Kind::CloseCalled),

    one("fentry_tcp_send_active_reset", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason),
    one("fentry_tcp_send_active_reset_reason1", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]),
    one("fentry_tcp_send_active_reset_reason2", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]),
    one("kprobe_tcp_send_active_reset", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason),
    one("kprobe_tcp_send_active_reset_reason1", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]),
    one("kprobe_tcp_send_active_reset_reason2", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]),
    one("tp_tcp_send_reset_active", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(NoReason),
    one("tp_tcp_send_reset_active_reason2", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(1).extras(&[Reason]),

    one("tp_tcp_send_reset_reply", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(NoReason),
    one("tp_tcp_send_reset_reply_reason2", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),
    one("kprobe_tcp_v4_send_reset", Kprobe("tcp_v4_send_reset"), Kind::ResetReplied).fits(NoReason).extras(&[EveryReply]),
    one("kprobe_tcp_v6_send_reset", Kprobe("tcp_v6_send_reset"), Kind::ResetReplied).fits(NoReason).extras(&[EveryReply]),
    one("kprobe_tcp_v4_send_reset_reason2", Kprobe("tcp_v4_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),
    one("kprobe_tcp_v6_send_reset_reason2", Kprobe("tcp_v6_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),

    one("fentry_tcp_reset", Fentry("tcp_reset"), Kind::ResetReceived).fits(Args(1)),
    one("fentry_tcp_reset_segment1", Fentry("tcp_reset"), Kind::ResetReceived).fits(Args(2)).set(1).extras(&[Segment]),
    one("kprobe_tcp_reset", Kprobe("tcp_reset"), Kind::ResetReceived).fits(Args(1)),
    one("kprobe_tcp_reset_segment1", Kprobe("tcp_reset"), Kind::ResetReceived).fits(Args(2)).set(1).extras(&[Segment]),
    one("tp_tcp_receive_reset", Tracepoint("tcp_receive_reset"), Kind::ResetReceived),

    one("fentry_tcp_disconnect", Fentry("tcp_disconnect"), Kind::Disconnected),
    one("kprobe_tcp_disconnect", Kprobe("tcp_disconnect"), Kind::Disconnected),
    one("fentry_tcp_abort", Fentry("tcp_abort"), Kind::Aborted),
    one("kprobe_tcp_abort", Kprobe("tcp_abort"), Kind::Aborted),
    one("fentry_inet_child_forget", Fentry("inet_child_forget"), Kind::Forgotten),
    one("kprobe_inet_child_forget", Kprobe("inet_child_forget"), Kind::Forgotten),

    one("fentry_inet_twsk_hashdance_schedule", Fentry("inet_twsk_hashdance_schedule"), Kind::MinisockStarted),
    one("fentry_inet_twsk_hashdance", Fentry("inet_twsk_hashdance"), Kind::MinisockStarted).set(1),
    one("kprobe_inet_twsk_hashdance_schedule", Kprobe("inet_twsk_hashdance_schedule"), Kind::MinisockStarted),
    one("kprobe_inet_twsk_hashdance", Kprobe("inet_twsk_hashdance"), Kind::MinisockStarted).set(1),
    one("fexit_tcp_timewait_state_process_args3", Fexit("tcp_timewait_state_process"), Kind::MinisockAnswered).fits(Args(3)),
    one("fexit_tcp_timewait_state_process_args4", Fexit("tcp_timewait_state_process"), Kind::MinisockAnswered).fits(Args(4)).set(1),
    one("fexit_tcp_timewait_state_process_args5", Fexit("tcp_timewait_state_process"), Kind::MinisockAnswered).fits(Args(5)).set(2),
    one("kretprobe_tcp_timewait_state_process", Kretprobe("tcp_timewait_state_process"), Kind::MinisockAnswered),
    one("kprobe_tcp_timewait_state_process", Kprobe("tcp_timewait_state_process"), Kind::MinisockAnswered),
    one("fentry_inet_twsk_kill", Fentry("inet_twsk_kill"), Kind::MinisockEnded),
    one("kprobe_inet_twsk_kill", Kprobe("inet_twsk_kill"), Kind::MinisockEnded),

    one("tp_tcp_destroy_sock", Tracepoint("tcp_destroy_sock"), Kind::Destroyed),
    one("kprobe_inet_csk_destroy_sock", Kprobe("inet_csk_destroy_sock"), Kind::Destroyed),
    one("tp_tcp_destroy_sock_stand_in", Tracepoint("tcp_destroy_sock"), Kind::Destroyed).stands_in(),

    one("fexit_inet_csk_accept_args2", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(2)),
    one("fexit_inet_csk_accept_args4", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(4)).set(1),
    one("kretprobe_inet_csk_accept", Kretprobe("inet_csk_accept"), Kind::Accepted),
];
