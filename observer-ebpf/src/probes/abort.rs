//! An administrator destroys a connection (`ss -K`).

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::Kind;

use super::kernel::{Copied, Direct, Pointer};
use super::once::{Turn, in_turn, is_first};
use super::teardown::tears_down;

in_turn! {
    #[fentry(function = "tcp_abort")]
    fn fentry_tcp_abort, fentry_tcp_abort_2, fentry_tcp_abort_3(turn, ctx: FEntryContext) {
        let sock: Pointer = ctx.arg(0);
        // SAFETY: argument 0 is a `struct sock`.
        unsafe {
            if is_first::<Direct>(turn, Kind::Aborted, sock, 0) {
                tears_down::<Direct>(Kind::Aborted, sock);
            }
        }
    }
}

#[kprobe(function = "tcp_abort")]
fn kprobe_tcp_abort(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { tears_down::<Copied>(Kind::Aborted, sock) };
    }
}
