//! The kernel lets go of a full socket.

use aya_ebpf::{
    macros::{btf_tracepoint, kprobe},
    programs::{BtfTracePointContext, ProbeContext},
};
use observer_ebpf::wire::{Destroyed, Kind};

use super::fill;
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::ring::send;
use super::stand_in;

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn tp_tcp_destroy_sock(ctx: BtfTracePointContext) {
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { destroys::<Direct>(ctx.arg(0)) };
}

/// Runs after the program of either: the tracepoint stands inside `inet_csk_destroy_sock`.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn tp_tcp_destroy_sock_stand_in(ctx: BtfTracePointContext) {
    let sock: Pointer = ctx.arg(0);
    // SAFETY: argument 0 is a `struct sock`.
    if !stand_in::take(stand_in::event(sock, 0, 0)) && unsafe { matters::<Direct>(sock) } {
        report(sock);
    }
}

#[kprobe(function = "inet_csk_destroy_sock")]
fn kprobe_inet_csk_destroy_sock(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { destroys::<Copied>(sock) };
    }
}

#[inline(always)]
unsafe fn destroys<R: Read>(sock: Pointer) {
    // SAFETY: the caller vouches for `sock`.
    if unsafe { matters::<R>(sock) } {
        report(sock);
    }
    stand_in::mark(stand_in::event(sock, 0, 0));
}

#[inline(always)]
unsafe fn matters<R: Read>(sock: Pointer) -> bool {
    // SAFETY: the caller vouches for `sock`.
    unsafe { fill::is_tcp::<R>(sock) && filter::wants::<R>(sock) }
}

#[inline(always)]
fn report(sock: Pointer) {
    send(Kind::Destroyed, sock, |_: *mut Destroyed| ());
}
