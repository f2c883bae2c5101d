//! The application let go of a socket: the last reference to its file went, or it exits.
//!
//! MPTCP closes its subflows through `__tcp_close`, which is not hooked.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::{CloseCalled, Kind};

use super::fill::{self, state};
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;

in_turn! {
    #[fentry(function = "tcp_close")]
    fn fentry_tcp_close, fentry_tcp_close_2, fentry_tcp_close_3(turn, ctx: FEntryContext) {
        let sock: Pointer = ctx.arg(0);
        // SAFETY: argument 0 is a `struct sock`.
        unsafe {
            if is_first::<Direct>(turn, Kind::CloseCalled, sock, 0) {
                closes::<Direct>(sock, ctx.arg(1));
            }
        }
    }
}

#[kprobe(function = "tcp_close")]
fn kprobe_tcp_close(ctx: ProbeContext) {
    let (Some(sock), Some(timeout)) = (ctx.arg(0), ctx.arg(1)) else {
        return;
    };
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { closes::<Copied>(sock, timeout) };
}

/// Listeners are left out: a socket that listens cannot turn into a connection.
#[inline(always)]
unsafe fn closes<R: Read>(sock: Pointer, timeout: i64) {
    // SAFETY: the caller vouches for `sock`.
    let matters = unsafe {
        fill::state_of::<R>(sock) != state::LISTEN
            && fill::is_tcp::<R>(sock)
            && filter::wants::<R>(sock)
    };
    if !matters {
        return;
    }
    // SAFETY: `record` is a reserved record.
    send(Kind::CloseCalled, sock, |record: *mut CloseCalled| unsafe {
        fill::task(&raw mut (*record).task);
        (*record).timeout = timeout;
    });
}
