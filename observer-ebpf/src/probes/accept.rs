//! A process accepts a connection.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use observer_ebpf::wire::{Accepted, Kind};

use super::fill;
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::once::{Turn, in_turn, is_first};
use super::shed;
use super::stack;

in_turn! {
    #[fexit(function = "inet_csk_accept")]
    fn fexit_inet_csk_accept_args2,
        fexit_inet_csk_accept_args2_2,
        fexit_inet_csk_accept_args2_3(turn, ctx: FExitContext) {
        // SAFETY: the argument after the last is the returned `struct sock`.
        unsafe { trampoline(turn, ctx.arg(2), ctx.as_ptr()) };
    }
}

in_turn! {
    #[fexit(function = "inet_csk_accept")]
    fn fexit_inet_csk_accept_args4,
        fexit_inet_csk_accept_args4_2,
        fexit_inet_csk_accept_args4_3(turn, ctx: FExitContext) {
        // SAFETY: the argument after the last is the returned `struct sock`.
        unsafe { trampoline(turn, ctx.arg(4), ctx.as_ptr()) };
    }
}

#[kretprobe(function = "inet_csk_accept")]
fn kretprobe_inet_csk_accept(ctx: RetProbeContext) {
    // SAFETY: what is returned is a `struct sock`.
    unsafe { accepts::<Copied>(ctx.ret(), ctx.as_ptr()) };
}

/// What a trampoline is shown: `sock` is as in [`accepts`].
#[inline(always)]
unsafe fn trampoline(turn: Turn, sock: Pointer, context: *mut c_void) {
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if !sock.is_null() && is_first::<Direct>(turn, Kind::Accepted, sock, 0) {
            accepts::<Direct>(sock, context);
        }
    }
}

/// `sock` is NULL where there was nothing to accept.
#[inline(always)]
unsafe fn accepts<R: Read>(sock: Pointer, context: *mut c_void) {
    // SAFETY: the caller vouches for `sock`.
    if sock.is_null() || unsafe { !fill::is_tcp::<R>(sock) || !filter::wants::<R>(sock) } {
        return;
    }
    if !shed::wants_births() {
        return;
    }
    let fill = |record: *mut Accepted| {
        // SAFETY: `record` is a reserved record.
        unsafe { fill::task(&raw mut (*record).task) };
    };
    stack::send_opening(Kind::Accepted, sock, context, true, fill);
}
