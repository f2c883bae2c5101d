//! A connection is about to change state.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, fentry, kprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext},
};
use observer_ebpf::wire::{Kind, StateChanged};

use super::fill::{self, state};
use super::filter;
use super::kernel::{Copied, Direct, INET_SPORT, Pointer, Read};
use super::once::{Turn, in_turn, is_first};
use super::shed;
use super::stack;

#[fentry(function = "tcp_set_state")]
fn fentry_tcp_set_state(ctx: FEntryContext) {
    let sock: Pointer = ctx.arg(0);
    let new: u64 = ctx.arg(1);
    // SAFETY: argument 0 is a `struct sock`.
    unsafe {
        let hashed = fill::hashed::<Direct>(sock);
        let old = fill::state_of::<Direct>(sock);
        changes::<Direct>(Turn::First, sock, old, new as u8, hashed, ctx.as_ptr());
    }
}

#[kprobe(function = "tcp_set_state")]
fn kprobe_tcp_set_state(ctx: ProbeContext) {
    let (Some(sock), Some(new)) = (ctx.arg::<Pointer>(0), ctx.arg::<u64>(1)) else {
        return;
    };
    // SAFETY: argument 0 is a `struct sock`.
    unsafe {
        let hashed = fill::hashed::<Copied>(sock);
        let old = fill::state_of::<Copied>(sock);
        changes::<Copied>(Turn::First, sock, old, new as u8, hashed, ctx.as_ptr());
    }
}

in_turn! {
    #[btf_tracepoint(function = "inet_sock_set_state")]
    fn tp_inet_sock_set_state,
        tp_inet_sock_set_state_2,
        tp_inet_sock_set_state_3(turn, ctx: BtfTracePointContext) {
        let sock: Pointer = ctx.arg(0);
        let old: u64 = ctx.arg(1);
        let new: u64 = ctx.arg(2);
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { changes::<Direct>(turn, sock, old as u8, new as u8, 0, ctx.as_ptr()) };
    }
}

/// The second and third tracepoint stand inside `tcp_set_state`, and are shown what its programs
/// are, too.
#[inline(always)]
unsafe fn changes<R: Read>(
    turn: Turn,
    sock: Pointer,
    old: u8,
    new: u8,
    hashed: u8,
    context: *mut c_void,
) {
    let what = u16::from(old) << 8 | u16::from(new);
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if is_first::<R>(turn, Kind::StateChanged, sock, what) && is_wanted::<R>(sock, old, new) {
            report::<R>(sock, old, new, hashed, context);
        }
    }
}

#[inline(always)]
unsafe fn is_wanted<R: Read>(sock: Pointer, old: u8, new: u8) -> bool {
    // SAFETY: the caller vouches for `sock`.
    !is_left_out(new) && unsafe { matters::<R>(sock, old, new) }
}

/// Whether it is part of a birth, of which nothing is wanted for now.
#[inline(always)]
fn is_left_out(new: u8) -> bool {
    (new == state::SYN_SENT || new == state::ESTABLISHED) && !shed::wants_births()
}

/// Listeners are left out, and so is the moment when a child is cloned from one: it is born
/// when it leaves SYN_RECV.
#[inline(always)]
unsafe fn matters<R: Read>(sock: Pointer, old: u8, new: u8) -> bool {
    if old == new || old == state::LISTEN || new == state::LISTEN {
        return false;
    }
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        fill::is_tcp::<R>(sock)
            && if new == state::SYN_SENT {
                filter::wants_opening::<R>(sock)
            } else {
                filter::wants::<R>(sock)
            }
    }
}

#[inline(always)]
unsafe fn report<R: Read>(sock: Pointer, old: u8, new: u8, hashed: u8, context: *mut c_void) {
    // SAFETY: the caller vouches for `sock`.
    let tcp = unsafe { R::tcp(sock) };
    if tcp.is_null() {
        return;
    }
    let fill = |record: *mut StateChanged| {
        // SAFETY: `record` is a reserved record; `tcp` is a full TCP socket.
        unsafe {
            let task = &raw mut (*record).task;
            if made_by_a_task(new) {
                fill::task(task);
            } else {
                fill::no_task(task);
            }
            fill::tuple::<R>(&raw mut (*record).tuple, tcp, &INET_SPORT);
            fill::snapshot::<R>(&raw mut (*record).snapshot, tcp, new);
            (*record).snapshot.marks |= hashed;
            (*record).old_state = old;
            (*record).new_state = new;
        }
    };
    let opens = new == state::SYN_SENT;
    stack::send_opening(Kind::StateChanged, sock, context, opens, fill);
}

/// A segment brings about the others, whatever task it interrupts.
#[inline(always)]
fn made_by_a_task(new: u8) -> bool {
    new == state::SYN_SENT
        || new == state::FIN_WAIT1
        || new == state::LAST_ACK
        || new == state::CLOSE
}
