//! A minisock takes over what is left of a connection.
//!
//! `inet_twsk_hashdance_schedule` stands in for `inet_twsk_hashdance` since 6.12.

use aya_ebpf::{
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::{Kind, MinisockStarted};

use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read, TW_SUBSTATE};
use super::once::{Turn, in_turn, is_first};
use super::ring::send;

in_turn! {
    #[fentry(function = "inet_twsk_hashdance_schedule")]
    fn fentry_inet_twsk_hashdance_schedule,
        fentry_inet_twsk_hashdance_schedule_2,
        fentry_inet_twsk_hashdance_schedule_3(turn, ctx: FEntryContext) {
        trampoline(turn, &ctx);
    }
}

in_turn! {
    #[fentry(function = "inet_twsk_hashdance")]
    fn fentry_inet_twsk_hashdance,
        fentry_inet_twsk_hashdance_2,
        fentry_inet_twsk_hashdance_3(turn, ctx: FEntryContext) {
        trampoline(turn, &ctx);
    }
}

#[kprobe(function = "inet_twsk_hashdance_schedule")]
fn kprobe_inet_twsk_hashdance_schedule(ctx: ProbeContext) {
    probe(&ctx);
}

#[kprobe(function = "inet_twsk_hashdance")]
fn kprobe_inet_twsk_hashdance(ctx: ProbeContext) {
    probe(&ctx);
}

#[inline(always)]
fn trampoline(turn: Turn, ctx: &FEntryContext) {
    let sock: Pointer = ctx.arg(1);
    // SAFETY: argument 0 is a minisock, argument 1 a `struct sock`.
    unsafe {
        if is_first::<Direct>(turn, Kind::MinisockStarted, sock, 0) {
            starts::<Direct>(ctx.arg(0), sock);
        }
    }
}

#[inline(always)]
fn probe(ctx: &ProbeContext) {
    if let (Some(minisock), Some(sock)) = (ctx.arg(0), ctx.arg(1)) {
        // SAFETY: argument 0 is a minisock, argument 1 a `struct sock`.
        unsafe { starts::<Copied>(minisock, sock) };
    }
}

#[inline(always)]
unsafe fn starts<R: Read>(minisock: Pointer, sock: Pointer) {
    // SAFETY: the caller vouches for `sock`.
    if unsafe { !filter::wants::<R>(sock) } {
        return;
    }
    // SAFETY: `record` is a reserved record; the caller vouches for `minisock`.
    send(
        Kind::MinisockStarted,
        sock,
        |record: *mut MinisockStarted| unsafe {
            (*record).minisock = minisock as u64;
            (*record).substate = R::read(minisock, &TW_SUBSTATE);
        },
    );
}
