//! An administrator destroys a connection (`ss -K`).

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::Kind;

use super::kernel::{Copied, Direct};
use super::teardown::tears_down;

#[fentry(function = "tcp_abort")]
fn fentry_tcp_abort(ctx: FEntryContext) {
    // SAFETY: argument 0 is a `struct sock`.
    unsafe { tears_down::<Direct>(Kind::Aborted, ctx.arg(0)) };
}

#[kprobe(function = "tcp_abort")]
fn kprobe_tcp_abort(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { tears_down::<Copied>(Kind::Aborted, sock) };
    }
}
