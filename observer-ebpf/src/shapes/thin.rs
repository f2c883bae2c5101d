//! A connection's first step in full, of the others only what is new.

use aya_ebpf::{
    helpers::generated::bpf_get_current_pid_tgid, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use observer_ebpf::wire::{Header, Kind};

use crate::change::{Change, tell_end};
use crate::kernel::{Direct, Read as _, SK_ERR};
use crate::ring::send;

/// What a later step tells.
#[repr(C)]
struct Thin {
    header: Header,
    pid: u32,
    error: u16,
    old: u8,
    new: u8,
}

const _: () = assert!(size_of::<Thin>() == 32);

#[btf_tracepoint(function = "inet_sock_set_state")]
fn thin_state(ctx: BtfTracePointContext) {
    let Some(change) = Change::of(&ctx) else {
        return;
    };
    if change.is_birth() {
        change.tell(|_: *mut ()| ());
        return;
    }
    send(Kind::StateChanged, change.sock, |record: *mut Thin| {
        // SAFETY: `record` is a reserved record; the change is of a full socket.
        unsafe {
            (*record).pid = if change.is_made_by_a_task() {
                (bpf_get_current_pid_tgid() >> 32) as u32
            } else {
                0
            };
            (*record).error = Direct::read::<u32>(change.sock, &SK_ERR) as u16;
            (*record).old = change.old;
            (*record).new = change.new;
        }
    });
}

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn thin_end(ctx: BtfTracePointContext) {
    tell_end(&ctx);
}
