//! A connection is thrown away by its owner: close with linger 0, connect(AF_UNSPEC),
//! `TCP_REPAIR`, or a closing listener.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::Kind;

use super::kernel::{Copied, Direct, Pointer};
use super::once::{Turn, in_turn, is_first};
use super::teardown::tears_down;

in_turn! {
    #[fentry(function = "tcp_disconnect")]
    fn fentry_tcp_disconnect, fentry_tcp_disconnect_2, fentry_tcp_disconnect_3(turn, ctx: FEntryContext) {
        let sock: Pointer = ctx.arg(0);
        // SAFETY: argument 0 is a `struct sock`.
        unsafe {
            if is_first::<Direct>(turn, Kind::Disconnected, sock, 0) {
                tears_down::<Direct>(Kind::Disconnected, sock);
            }
        }
    }
}

#[kprobe(function = "tcp_disconnect")]
fn kprobe_tcp_disconnect(ctx: ProbeContext) {
    if let Some(sock) = ctx.arg(0) {
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { tears_down::<Copied>(Kind::Disconnected, sock) };
    }
}
