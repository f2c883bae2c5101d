//! Every step in full: what the probes do, without filters and shown to one program.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::change::{Change, tell_end};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn fat_state(ctx: BtfTracePointContext) {
    if let Some(change) = Change::of(&ctx) {
        change.tell(|_: *mut ()| ());
    }
}

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn fat_end(ctx: BtfTracePointContext) {
    tell_end(&ctx);
}
