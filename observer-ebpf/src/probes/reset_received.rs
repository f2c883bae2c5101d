//! A connection is torn down as reset: a RST arrived, or data came after close.

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext},
};
use observer_ebpf::wire::{Kind, ResetReceived, flag};

use super::fill;
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;
use super::segment;

#[fentry(function = "tcp_reset")]
fn fentry_tcp_reset(ctx: FEntryContext) {
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { receives::<Direct>(Turn::First, ctx.arg(0), flag::UNKNOWN) };
}

#[fentry(function = "tcp_reset")]
fn fentry_tcp_reset_segment1(ctx: FEntryContext) {
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { receives::<Direct>(Turn::First, ctx.arg(0), judge(ctx.arg(1))) };
}

#[kprobe(function = "tcp_reset")]
fn kprobe_tcp_reset(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { receives::<Copied>(Turn::First, sock, flag::UNKNOWN) };
    }
}

#[kprobe(function = "tcp_reset")]
fn kprobe_tcp_reset_segment1(ctx: ProbeContext) {
    if let (Some(sock), Some(segment)) = (ctx.arg(0), ctx.arg(1)) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { receives::<Copied>(Turn::First, sock, judge(segment)) };
    }
}

in_turn! {
    #[btf_tracepoint(function = "tcp_receive_reset")]
    fn tp_tcp_receive_reset,
        tp_tcp_receive_reset_2,
        tp_tcp_receive_reset_3(turn, ctx: BtfTracePointContext) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { receives::<Direct>(turn, ctx.arg(0), flag::UNKNOWN) };
    }
}

#[inline(always)]
fn judge(segment: Pointer) -> u8 {
    if segment::is_reset(segment) {
        flag::YES
    } else {
        flag::NO
    }
}

#[inline(always)]
unsafe fn receives<R: Read>(turn: Turn, sock: Pointer, segment_is_reset: u8) {
    // SAFETY: the caller vouches for `sock`.
    if unsafe { !is_first::<R>(turn, Kind::ResetReceived, sock, 0) || !filter::wants::<R>(sock) } {
        return;
    }
    // SAFETY: `record` is a reserved record; the caller vouches for `sock`.
    send(
        Kind::ResetReceived,
        sock,
        |record: *mut ResetReceived| unsafe {
            (*record).segment_is_reset = segment_is_reset;
            (*record).state = fill::state_of::<R>(sock);
        },
    );
}
