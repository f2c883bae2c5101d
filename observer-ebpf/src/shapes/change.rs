//! A state change, as all shapes see it.
//!
//! Takes the tracepoint's arguments; gives a [`Change`] where the probes would report one, and
//! fills their record of it.

use aya_ebpf::programs::BtfTracePointContext;
use observer_ebpf::wire::{Destroyed, Kind, StateChanged};

use crate::fill::{self, state};
use crate::kernel::{Direct, INET_SPORT, Pointer, Read as _};
use crate::ring::send;

/// A connection enters a state.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// The hook's own argument.
    pub(crate) sock: Pointer,
    pub(crate) old: u8,
    pub(crate) new: u8,
}

impl Change {
    /// The change, if it is one of a TCP connection.
    #[inline(always)]
    pub(crate) fn of(ctx: &BtfTracePointContext) -> Option<Self> {
        let sock: Pointer = ctx.arg(0);
        let (old, new) = (ctx.arg::<u64>(1) as u8, ctx.arg::<u64>(2) as u8);
        if old == new || old == state::LISTEN || new == state::LISTEN {
            return None;
        }
        // SAFETY: argument 0 is a `struct sock`.
        unsafe { fill::is_tcp::<Direct>(sock) }.then_some(Self { sock, old, new })
    }

    /// Whether the connection is new.
    #[inline(always)]
    pub(crate) fn is_birth(self) -> bool {
        self.new == state::SYN_SENT
            || (self.new == state::ESTABLISHED && self.old != state::SYN_SENT)
    }

    /// Whether a task makes it; a segment brings about the others.
    #[inline(always)]
    pub(crate) fn is_made_by_a_task(self) -> bool {
        self.new == state::SYN_SENT
            || self.new == state::FIN_WAIT1
            || self.new == state::LAST_ACK
            || self.new == state::CLOSE
    }

    /// Sends the probes' record, followed by what `more` fills.
    #[inline(always)]
    pub(crate) fn tell<M: 'static>(self, more: impl FnOnce(*mut M)) {
        // SAFETY: argument 0 is a `struct sock`.
        let tcp = unsafe { Direct::tcp(self.sock) };
        if tcp.is_null() {
            return;
        }
        send(Kind::StateChanged, self.sock, |record: *mut Told<M>| {
            // SAFETY: `record` is a reserved record; `tcp` is a full TCP socket.
            unsafe {
                self.fill(&raw mut (*record).state, tcp);
                more(&raw mut (*record).more);
            }
        });
    }

    /// The padding at its end stays.
    ///
    /// # Safety
    /// `record` is a reserved record, and `tcp` is this socket.
    #[inline(always)]
    unsafe fn fill(self, record: *mut StateChanged, tcp: Pointer) {
        // SAFETY: the caller vouches for both.
        unsafe {
            let task = &raw mut (*record).task;
            if self.is_made_by_a_task() {
                fill::task(task);
            } else {
                fill::no_task(task);
            }
            fill::tuple::<Direct>(&raw mut (*record).tuple, tcp, &INET_SPORT);
            fill::snapshot::<Direct>(&raw mut (*record).snapshot, tcp, self.new);
            (*record).old_state = self.old;
            (*record).new_state = self.new;
        }
    }
}

/// The probes' record and something more.
#[repr(C)]
struct Told<M> {
    state: StateChanged,
    more: M,
}

/// Sends the probes' record of a socket's end, if it speaks TCP.
#[inline(always)]
pub(crate) fn tell_end(ctx: &BtfTracePointContext) {
    let sock: Pointer = ctx.arg(0);
    // SAFETY: argument 0 is a `struct sock`.
    if unsafe { fill::is_tcp::<Direct>(sock) } {
        send(Kind::Destroyed, sock, |_: *mut Destroyed| ());
    }
}
