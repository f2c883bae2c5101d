//! This host resets a connection of its own accord.
//!
//! The kernel has changed the function's arguments three times, hence one entry point for
//! each place where the reason may stand.

use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, fentry, kprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext},
};
use aya_log_ebpf::warn;
use observer_ebpf::wire::{Kind, ResetSent, flag};

use super::fill;
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read, argument_of_unknown_type};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;

in_turn! {
    #[fentry(function = "tcp_send_active_reset")]
    fn fentry_tcp_send_active_reset,
        fentry_tcp_send_active_reset_2,
        fentry_tcp_send_active_reset_3(turn, ctx: FEntryContext) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { trampoline(turn, ctx.arg(0), flag::NO_REASON) };
    }
}

in_turn! {
    #[fentry(function = "tcp_send_active_reset")]
    fn fentry_tcp_send_active_reset_reason1,
        fentry_tcp_send_active_reset_reason1_2,
        fentry_tcp_send_active_reset_reason1_3(turn, ctx: FEntryContext) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { trampoline(turn, ctx.arg(0), ctx.arg::<u64>(1) as u32) };
    }
}

in_turn! {
    #[fentry(function = "tcp_send_active_reset")]
    fn fentry_tcp_send_active_reset_reason2,
        fentry_tcp_send_active_reset_reason2_2,
        fentry_tcp_send_active_reset_reason2_3(turn, ctx: FEntryContext) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { trampoline(turn, ctx.arg(0), ctx.arg::<u64>(2) as u32) };
    }
}

#[kprobe(function = "tcp_send_active_reset")]
fn kprobe_tcp_send_active_reset(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { resets::<Copied>(sock, flag::NO_REASON) };
    }
}

#[kprobe(function = "tcp_send_active_reset")]
fn kprobe_tcp_send_active_reset_reason1(ctx: ProbeContext) {
    if let (Some(sock), Some(reason)) = (ctx.arg(0), ctx.arg::<u64>(1)) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { resets::<Copied>(sock, reason as u32) };
    }
}

#[kprobe(function = "tcp_send_active_reset")]
fn kprobe_tcp_send_active_reset_reason2(ctx: ProbeContext) {
    if let (Some(sock), Some(reason)) = (ctx.arg(0), ctx.arg::<u64>(2)) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { resets::<Copied>(sock, reason as u32) };
    }
}

in_turn! {
    #[btf_tracepoint(function = "tcp_send_reset")]
    fn tp_tcp_send_reset_active,
        tp_tcp_send_reset_active_2,
        tp_tcp_send_reset_active_3(turn, ctx: BtfTracePointContext) {
        trace(turn, &ctx, flag::NO_REASON);
    }
}

in_turn! {
    #[btf_tracepoint(function = "tcp_send_reset")]
    fn tp_tcp_send_reset_active_reason2,
        tp_tcp_send_reset_active_reason2_2,
        tp_tcp_send_reset_active_reason2_3(turn, ctx: BtfTracePointContext) {
        let reason: u64 = ctx.arg(2);
        trace(turn, &ctx, reason as u32);
    }
}

#[inline(always)]
unsafe fn trampoline(turn: Turn, sock: Pointer, reason: u32) {
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if is_first::<Direct>(turn, Kind::ResetSent, sock, 0) {
            resets::<Direct>(sock, reason);
        }
    }
}

/// The tracepoint serves both sorts of resets; this one answers no segment.
#[inline(always)]
fn trace(turn: Turn, ctx: &BtfTracePointContext, reason: u32) {
    let segment = argument_of_unknown_type(ctx.as_ptr(), 1);
    if segment.is_null() {
        let sock = argument_of_unknown_type(ctx.as_ptr(), 0);
        if sock.is_null() {
            warn!(ctx, "a reset was sent for neither a segment nor a socket");
            return;
        }
        // SAFETY: argument 0 is a `struct sock`.
        unsafe {
            if is_first::<Copied>(turn, Kind::ResetSent, sock, 0) {
                resets::<Copied>(sock, reason);
            }
        }
    }
}

#[inline(always)]
unsafe fn resets<R: Read>(sock: Pointer, reason: u32) {
    // SAFETY: the caller vouches for `sock`.
    if unsafe { !filter::wants::<R>(sock) } {
        return;
    }
    // SAFETY: `record` is a reserved record; the caller vouches for `sock`.
    send(Kind::ResetSent, sock, |record: *mut ResetSent| unsafe {
        (*record).reason = reason;
        (*record).state = fill::state_of::<R>(sock);
    });
}
