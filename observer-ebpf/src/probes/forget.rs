//! A closing listener drops a connection that nobody accepted from its queue.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::Kind;

use super::kernel::{Copied, Direct};
use super::teardown::tears_down;

#[fentry(function = "inet_child_forget")]
fn fentry_inet_child_forget(ctx: FEntryContext) {
    // SAFETY: argument 2 is a `struct sock`.
    unsafe { tears_down::<Direct>(Kind::Forgotten, ctx.arg(2)) };
}

#[kprobe(function = "inet_child_forget")]
fn kprobe_inet_child_forget(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(2) {
        // SAFETY: argument 2 is a `struct sock`.
        unsafe { tears_down::<Copied>(Kind::Forgotten, sock) };
    }
}
