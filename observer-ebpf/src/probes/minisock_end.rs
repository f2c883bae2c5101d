//! The kernel takes a minisock away.

use aya_ebpf::{
    helpers::generated::bpf_jiffies64,
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use observer_ebpf::wire::{Kind, MinisockEnded, flag, settings::ABSENT};

use super::fill;
use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read, TW_EXPIRES, TW_SUBSTATE};
use super::ring::send;

#[fentry(function = "inet_twsk_kill")]
fn fentry_inet_twsk_kill(ctx: FEntryContext) {
    // SAFETY: argument 0 is a minisock.
    unsafe { ends::<Direct>(ctx.arg(0)) };
}

#[kprobe(function = "inet_twsk_kill")]
fn kprobe_inet_twsk_kill(ctx: ProbeContext) {
    if let Some(minisock) = ctx.arg(0) {
        // SAFETY: argument 0 is a minisock.
        unsafe { ends::<Copied>(minisock) };
    }
}

#[inline(always)]
unsafe fn ends<R: Read>(minisock: Pointer) {
    // SAFETY: the caller vouches for `minisock`.
    if unsafe { !filter::wants_remnant::<R>(minisock) } {
        return;
    }
    // SAFETY: `record` is a reserved record; the caller vouches for `minisock`.
    send(
        Kind::MinisockEnded,
        minisock,
        |record: *mut MinisockEnded| unsafe {
            fill::task(&raw mut (*record).task);
            (*record).substate = R::read(minisock, &TW_SUBSTATE);
            (*record).expired = expired::<R>(minisock);
            (*record).netns = fill::netns::<R>(minisock);
        },
    );
}

/// A timer never runs early, so it ran out exactly if its time has come; where something else
/// ends the minisock, that time is still ahead.
#[inline(always)]
unsafe fn expired<R: Read>(minisock: Pointer) -> u8 {
    if TW_EXPIRES.load() == ABSENT {
        return flag::UNKNOWN;
    }
    // SAFETY: the caller vouches for `minisock`; the helper has no requirement.
    let left = unsafe { R::read::<u64>(minisock, &TW_EXPIRES).wrapping_sub(bpf_jiffies64()) };
    if left.cast_signed() <= 0 {
        flag::YES
    } else {
        flag::NO
    }
}
