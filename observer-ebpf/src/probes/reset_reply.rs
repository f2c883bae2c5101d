//! This host answers a segment with a reset.

use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, kprobe},
    programs::{BtfTracePointContext, ProbeContext},
};
use observer_ebpf::wire::{Kind, ResetReplied, flag};

use super::fill::{self, state};
use super::filter;
use super::kernel::{Copied, INET_SPORT, Pointer, TW_SPORT, argument_of_unknown_type};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;
use super::segment;

in_turn! {
    #[btf_tracepoint(function = "tcp_send_reset")]
    fn tp_tcp_send_reset_reply,
        tp_tcp_send_reset_reply_2,
        tp_tcp_send_reset_reply_3(turn, ctx: BtfTracePointContext) {
        trace(turn, &ctx, flag::NO_REASON);
    }
}

in_turn! {
    #[btf_tracepoint(function = "tcp_send_reset")]
    fn tp_tcp_send_reset_reply_reason2,
        tp_tcp_send_reset_reply_reason2_2,
        tp_tcp_send_reset_reply_reason2_3(turn, ctx: BtfTracePointContext) {
        let reason: u64 = ctx.arg(2);
        trace(turn, &ctx, reason as u32);
    }
}

#[kprobe(function = "tcp_v4_send_reset")]
fn kprobe_tcp_v4_send_reset(ctx: ProbeContext) {
    probe(&ctx, flag::NO_REASON);
}

#[kprobe(function = "tcp_v4_send_reset")]
fn kprobe_tcp_v4_send_reset_reason2(ctx: ProbeContext) {
    if let Some(reason) = ctx.arg::<u64>(2) {
        probe(&ctx, reason as u32);
    }
}

#[kprobe(function = "tcp_v6_send_reset")]
fn kprobe_tcp_v6_send_reset(ctx: ProbeContext) {
    probe(&ctx, flag::NO_REASON);
}

#[kprobe(function = "tcp_v6_send_reset")]
fn kprobe_tcp_v6_send_reset_reason2(ctx: ProbeContext) {
    if let Some(reason) = ctx.arg::<u64>(2) {
        probe(&ctx, reason as u32);
    }
}

/// The tracepoint serves both sorts of resets; this one has a segment to answer.
#[inline(always)]
fn trace(turn: Turn, ctx: &BtfTracePointContext, reason: u32) {
    let segment = argument_of_unknown_type(ctx.as_ptr(), 1);
    if segment.is_null() {
        return;
    }
    let sock = argument_of_unknown_type(ctx.as_ptr(), 0);
    // SAFETY: a copying read takes any address.
    if unsafe { is_first::<Copied>(turn, Kind::ResetReplied, sock, 0) } {
        replies(sock, segment, reason);
    }
}

#[inline(always)]
fn probe(ctx: &ProbeContext, reason: u32) {
    if let (Some(sock), Some(segment)) = (ctx.arg(0), ctx.arg(1)) {
        replies(sock, segment, reason);
    }
}

/// The function returns early for a segment that carries RST itself: a reset is never
/// answered with one. `sock` may be NULL, a full socket, a request or a minisock.
#[inline(always)]
fn replies(sock: Pointer, segment: Pointer, reason: u32) {
    // SAFETY: a copying read takes any address.
    let number = unsafe { fill::state_of::<Copied>(sock) };
    if segment::is_reset(segment) || !is_wanted(sock, number) {
        return;
    }
    // SAFETY: `record` is a reserved record; for the rest as above.
    send(
        Kind::ResetReplied,
        sock,
        |record: *mut ResetReplied| unsafe {
            let tuple = &raw mut (*record).tuple;
            if sock.is_null() {
                fill::no_tuple(tuple);
            } else if number == state::NEW_SYN_RECV || number == state::LISTEN {
                fill::no_tuple(tuple);
                (*tuple).netns = fill::netns::<Copied>(sock);
            } else if number == state::TIME_WAIT {
                fill::tuple::<Copied>(tuple, sock, &TW_SPORT);
            } else {
                fill::tuple::<Copied>(tuple, sock, &INET_SPORT);
            }
            (*record).reason = reason;
            (*record).state = number;
        },
    );
}

/// A segment for no socket is of nothing that a filter names.
#[inline(always)]
fn is_wanted(sock: Pointer, number: u8) -> bool {
    if sock.is_null() {
        return filter::wants_all();
    }
    // SAFETY: a copying read takes any address.
    unsafe { filter::wants_any::<Copied>(sock, number) }
}
