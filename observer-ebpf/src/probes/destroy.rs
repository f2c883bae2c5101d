//! The kernel lets go of a full socket.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::wire::{Destroyed, Kind};

use super::fill;
use super::filter;
use super::kernel::{Direct, Pointer};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;

in_turn! {
    #[btf_tracepoint(function = "tcp_destroy_sock")]
    fn tp_tcp_destroy_sock, tp_tcp_destroy_sock_2, tp_tcp_destroy_sock_3(turn, ctx: BtfTracePointContext) {
        let sock: Pointer = ctx.arg(0);
        // SAFETY: argument 0 is a `struct sock`.
        unsafe {
            if is_first::<Direct>(turn, Kind::Destroyed, sock, 0)
                && fill::is_tcp::<Direct>(sock)
                && filter::wants::<Direct>(sock)
            {
                send(Kind::Destroyed, sock, |_: *mut Destroyed| ());
            }
        }
    }
}
