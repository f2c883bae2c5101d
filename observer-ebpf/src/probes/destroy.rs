//! The kernel lets go of a full socket.

use aya_ebpf::{
    macros::{btf_tracepoint, kprobe},
    programs::{BtfTracePointContext, ProbeContext},
};
use observer_ebpf::wire::{Destroyed, Kind};

use super::fill;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::ring::send;

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn tp_tcp_destroy_sock(ctx: BtfTracePointContext) {
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { destroys::<Direct>(ctx.arg(0)) };
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
    if unsafe { fill::is_tcp::<R>(sock) } {
        send(Kind::Destroyed, sock, |_: *mut Destroyed| ());
    }
}
