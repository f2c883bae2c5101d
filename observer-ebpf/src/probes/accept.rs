//! A process accepts a connection.

use aya_ebpf::{
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use observer_ebpf::wire::{Accepted, Kind};

use super::fill;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::ring::send;

#[fexit(function = "inet_csk_accept")]
fn fexit_inet_csk_accept_args2(ctx: FExitContext) {
    // SAFETY: the argument after the last is the returned `struct sock`.
    unsafe { accepts::<Direct>(ctx.arg(2)) };
}

#[fexit(function = "inet_csk_accept")]
fn fexit_inet_csk_accept_args4(ctx: FExitContext) {
    // SAFETY: the argument after the last is the returned `struct sock`.
    unsafe { accepts::<Direct>(ctx.arg(4)) };
}

#[kretprobe(function = "inet_csk_accept")]
fn kretprobe_inet_csk_accept(ctx: RetProbeContext) {
    // SAFETY: what is returned is a `struct sock`.
    unsafe { accepts::<Copied>(ctx.ret()) };
}

/// `sock` is NULL where there was nothing to accept.
#[inline(always)]
unsafe fn accepts<R: Read>(sock: Pointer) {
    // SAFETY: the caller vouches for `sock`.
    if sock.is_null() || unsafe { !fill::is_tcp::<R>(sock) } {
        return;
    }
    // SAFETY: `record` is a reserved record.
    send(Kind::Accepted, sock, |record: *mut Accepted| unsafe {
        fill::task(&raw mut (*record).task);
    });
}
