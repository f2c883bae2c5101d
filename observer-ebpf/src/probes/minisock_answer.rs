//! The kernel judged a segment for a minisock.
//!
//! A segment that was dropped and carried no RST changes nothing, and is left out.

use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe, map},
    maps::PerCpuArray,
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::warn;
use observer_ebpf::wire::{Kind, MinisockAnswered, flag};

use super::filter;
use super::kernel::{Copied, Direct, Pointer, Read, TW_SUBSTATE, TW_SUCCESS};
use super::ring::send;
use super::segment;

/// What the kretprobe needs of the call's arguments. The function runs with softirqs off, so
/// no other call of it comes in between on the same CPU.
#[derive(Clone, Copy)]
#[repr(C)]
struct Call {
    /// Zero: none.
    minisock: u64,
    segment_is_reset: u64,
}

#[map]
static MINISOCK_CALL: PerCpuArray<Call> = PerCpuArray::with_max_entries(1, 0);

#[fexit(function = "tcp_timewait_state_process")]
fn fexit_tcp_timewait_state_process_args3(ctx: FExitContext) {
    // SAFETY: argument 0 is a minisock.
    unsafe { exit(ctx.arg(0), ctx.arg(1), ctx.arg(3)) };
}

#[fexit(function = "tcp_timewait_state_process")]
fn fexit_tcp_timewait_state_process_args4(ctx: FExitContext) {
    // SAFETY: argument 0 is a minisock.
    unsafe { exit(ctx.arg(0), ctx.arg(1), ctx.arg(4)) };
}

#[fexit(function = "tcp_timewait_state_process")]
fn fexit_tcp_timewait_state_process_args5(ctx: FExitContext) {
    // SAFETY: argument 0 is a minisock.
    unsafe { exit(ctx.arg(0), ctx.arg(1), ctx.arg(5)) };
}

#[inline(always)]
unsafe fn exit(minisock: Pointer, segment: Pointer, answer: u64) {
    // SAFETY: the caller vouches for `minisock`.
    unsafe { answers::<Direct>(minisock, segment::is_reset(segment), answer as u32) };
}

#[kprobe(function = "tcp_timewait_state_process")]
fn kprobe_tcp_timewait_state_process(ctx: ProbeContext) {
    let (Some(minisock), Some(segment)) = (ctx.arg::<Pointer>(0), ctx.arg::<Pointer>(1)) else {
        return;
    };
    let call = Call {
        minisock: minisock as u64,
        segment_is_reset: u64::from(segment::is_reset(segment)),
    };
    if let Some(slot) = MINISOCK_CALL.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own.
        unsafe { slot.write(call) };
    }
}

#[kretprobe(function = "tcp_timewait_state_process")]
fn kretprobe_tcp_timewait_state_process(ctx: RetProbeContext) {
    let Some(slot) = MINISOCK_CALL.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the slot is this CPU's own.
    let call = unsafe {
        slot.replace(Call {
            minisock: 0,
            segment_is_reset: 0,
        })
    };
    if call.minisock == 0 {
        warn!(
            &ctx,
            "a call of tcp_timewait_state_process returned whose entry was missed"
        );
        return;
    }
    let minisock = call.minisock as Pointer;
    // SAFETY: argument 0 of the call was a minisock.
    unsafe {
        answers::<Copied>(
            minisock,
            call.segment_is_reset != 0,
            ctx.ret::<u64>() as u32,
        );
    }
}

#[inline(always)]
unsafe fn answers<R: Read>(minisock: Pointer, is_reset: bool, answer: u32) {
    if answer == TW_SUCCESS.load() && !is_reset {
        return;
    }
    // SAFETY: the caller vouches for `minisock`.
    if unsafe { !filter::wants_remnant::<R>(minisock) } {
        return;
    }
    // SAFETY: `record` is a reserved record; the caller vouches for `minisock`, whose memory
    // stays a minisock's until the CPU leaves its RCU read section, if not the same one's.
    send(
        Kind::MinisockAnswered,
        minisock,
        |record: *mut MinisockAnswered| unsafe {
            (*record).answer = answer;
            (*record).substate = R::read(minisock, &TW_SUBSTATE);
            (*record).segment_is_reset = if is_reset { flag::YES } else { flag::NO };
        },
    );
}
