//! The table of every program.
//!
//! Takes nothing; gives [`PROGRAMS`]. Those of one kind and twin with the same number of a set
//! attach together.

use super::{Hook, Kind, Twin};

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
    /// Another of its set is shown the same events, and this one reports those that the kernel
    /// leaves that one out of, or the other way round.
    pub again: bool,
    /// It attaches only where the kernel preempts tasks in the midst of its own code.
    pub reserve: bool,
    /// It also attaches together with the sets of these twins: its hook lies within theirs.
    pub beside: &'static [Twin],
}

const fn one(name: &'static str, hook: Hook, kind: Kind) -> Program {
    Program {
        name,
        hook,
        kind,
        fits: Signature::Any,
        set: 0,
        extras: &[],
        again: false,
        reserve: false,
        beside: &[],
    }
}

impl Program {
    const fn fits(self, fits: Signature) -> Self {
        Self { fits, ..self }
    }

    const fn set(self, set: u8) -> Self {
        Self { set, ..self }
    }

    const fn again(self) -> Self {
        Self {
            again: true,
            ..self
        }
    }

    const fn reserve(self) -> Self {
        Self {
            reserve: true,
            ..self
        }
    }

    const fn beside(self, beside: &'static [Twin]) -> Self {
        Self { beside, ..self }
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
    one("tp_inet_sock_set_state_2", Tracepoint("inet_sock_set_state"), Kind::StateChanged).again().beside(&[Twin::Fentry, Twin::Kprobe]),
    one("tp_inet_sock_set_state_3", Tracepoint("inet_sock_set_state"), Kind::StateChanged).again().reserve().beside(&[Twin::Fentry, Twin::Kprobe]),

    one("fentry_tcp_close", Fentry("tcp_close"), Kind::CloseCalled),
    one("fentry_tcp_close_2", Fentry("tcp_close"), Kind::CloseCalled).again(),
    one("fentry_tcp_close_3", Fentry("tcp_close"), Kind::CloseCalled).again().reserve(),
    one("kprobe_tcp_close", Kprobe("tcp_close"), Kind::CloseCalled),

    one("fentry_tcp_send_active_reset", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason),
    one("fentry_tcp_send_active_reset_2", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason).again(),
    one("fentry_tcp_send_active_reset_3", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason).again().reserve(),
    one("fentry_tcp_send_active_reset_reason1", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]),
    one("fentry_tcp_send_active_reset_reason1_2", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]).again(),
    one("fentry_tcp_send_active_reset_reason1_3", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]).again().reserve(),
    one("fentry_tcp_send_active_reset_reason2", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]),
    one("fentry_tcp_send_active_reset_reason2_2", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]).again(),
    one("fentry_tcp_send_active_reset_reason2_3", Fentry("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]).again().reserve(),
    one("kprobe_tcp_send_active_reset", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(NoReason),
    one("kprobe_tcp_send_active_reset_reason1", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(1)).set(1).extras(&[Reason]),
    one("kprobe_tcp_send_active_reset_reason2", Kprobe("tcp_send_active_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(2).extras(&[Reason]),
    one("tp_tcp_send_reset_active", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(NoReason),
    one("tp_tcp_send_reset_active_2", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(NoReason).again(),
    one("tp_tcp_send_reset_active_3", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(NoReason).again().reserve(),
    one("tp_tcp_send_reset_active_reason2", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(1).extras(&[Reason]),
    one("tp_tcp_send_reset_active_reason2_2", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(1).extras(&[Reason]).again(),
    one("tp_tcp_send_reset_active_reason2_3", Tracepoint("tcp_send_reset"), Kind::ResetSent).fits(ReasonAt(2)).set(1).extras(&[Reason]).again().reserve(),

    one("tp_tcp_send_reset_reply", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(NoReason),
    one("tp_tcp_send_reset_reply_2", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(NoReason).again(),
    one("tp_tcp_send_reset_reply_3", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(NoReason).again().reserve(),
    one("tp_tcp_send_reset_reply_reason2", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),
    one("tp_tcp_send_reset_reply_reason2_2", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]).again(),
    one("tp_tcp_send_reset_reply_reason2_3", Tracepoint("tcp_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]).again().reserve(),
    one("kprobe_tcp_v4_send_reset", Kprobe("tcp_v4_send_reset"), Kind::ResetReplied).fits(NoReason).extras(&[EveryReply]),
    one("kprobe_tcp_v6_send_reset", Kprobe("tcp_v6_send_reset"), Kind::ResetReplied).fits(NoReason).extras(&[EveryReply]),
    one("kprobe_tcp_v4_send_reset_reason2", Kprobe("tcp_v4_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),
    one("kprobe_tcp_v6_send_reset_reason2", Kprobe("tcp_v6_send_reset"), Kind::ResetReplied).fits(ReasonAt(2)).set(1).extras(&[Reason, EveryReply]),

    one("fentry_tcp_reset", Fentry("tcp_reset"), Kind::ResetReceived).fits(Args(1)),
    one("fentry_tcp_reset_segment1", Fentry("tcp_reset"), Kind::ResetReceived).fits(Args(2)).set(1).extras(&[Segment]),
    one("kprobe_tcp_reset", Kprobe("tcp_reset"), Kind::ResetReceived).fits(Args(1)),
    one("kprobe_tcp_reset_segment1", Kprobe("tcp_reset"), Kind::ResetReceived).fits(Args(2)).set(1).extras(&[Segment]),
    one("tp_tcp_receive_reset", Tracepoint("tcp_receive_reset"), Kind::ResetReceived),
    one("tp_tcp_receive_reset_2", Tracepoint("tcp_receive_reset"), Kind::ResetReceived).again().beside(&[Twin::Fentry, Twin::Kprobe]),
    one("tp_tcp_receive_reset_3", Tracepoint("tcp_receive_reset"), Kind::ResetReceived).again().reserve().beside(&[Twin::Fentry, Twin::Kprobe]),

    one("fentry_tcp_disconnect", Fentry("tcp_disconnect"), Kind::Disconnected),
    one("fentry_tcp_disconnect_2", Fentry("tcp_disconnect"), Kind::Disconnected).again(),
    one("fentry_tcp_disconnect_3", Fentry("tcp_disconnect"), Kind::Disconnected).again().reserve(),
    one("kprobe_tcp_disconnect", Kprobe("tcp_disconnect"), Kind::Disconnected),
    one("fentry_tcp_abort", Fentry("tcp_abort"), Kind::Aborted),
    one("fentry_tcp_abort_2", Fentry("tcp_abort"), Kind::Aborted).again(),
    one("fentry_tcp_abort_3", Fentry("tcp_abort"), Kind::Aborted).again().reserve(),
    one("kprobe_tcp_abort", Kprobe("tcp_abort"), Kind::Aborted),
    one("fentry_inet_child_forget", Fentry("inet_child_forget"), Kind::Forgotten),
    one("kprobe_inet_child_forget", Kprobe("inet_child_forget"), Kind::Forgotten),

    one("fentry_inet_twsk_hashdance_schedule", Fentry("inet_twsk_hashdance_schedule"), Kind::MinisockStarted),
    one("fentry_inet_twsk_hashdance_schedule_2", Fentry("inet_twsk_hashdance_schedule"), Kind::MinisockStarted).again(),
    one("fentry_inet_twsk_hashdance_schedule_3", Fentry("inet_twsk_hashdance_schedule"), Kind::MinisockStarted).again().reserve(),
    one("fentry_inet_twsk_hashdance", Fentry("inet_twsk_hashdance"), Kind::MinisockStarted).set(1),
    one("fentry_inet_twsk_hashdance_2", Fentry("inet_twsk_hashdance"), Kind::MinisockStarted).set(1).again(),
    one("fentry_inet_twsk_hashdance_3", Fentry("inet_twsk_hashdance"), Kind::MinisockStarted).set(1).again().reserve(),
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
    one("tp_tcp_destroy_sock_2", Tracepoint("tcp_destroy_sock"), Kind::Destroyed).again(),
    one("tp_tcp_destroy_sock_3", Tracepoint("tcp_destroy_sock"), Kind::Destroyed).again().reserve(),

    one("fexit_inet_csk_accept_args2", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(2)),
    one("fexit_inet_csk_accept_args2_2", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(2)).again(),
    one("fexit_inet_csk_accept_args2_3", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(2)).again().reserve(),
    one("fexit_inet_csk_accept_args4", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(4)).set(1),
    one("fexit_inet_csk_accept_args4_2", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(4)).set(1).again(),
    one("fexit_inet_csk_accept_args4_3", Fexit("inet_csk_accept"), Kind::Accepted).fits(Args(4)).set(1).again().reserve(),
    one("kretprobe_inet_csk_accept", Kretprobe("inet_csk_accept"), Kind::Accepted),
];
