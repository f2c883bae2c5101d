//! A second program that steps in where the kernel skips the first.
//!
//! The kernel does not run a program that an interrupt finds running on the same CPU
//! (`bpf_prog->active`, `bpf_prog_active`): an event of a softirq that lands inside the probe
//! is skipped. So frequent kinds have a stand-in, another program that runs after the first
//! one for the same event: the first leaves a mark of what it saw, whether it reported it or not,
//! and the stand-in looks at what has none.
//!
//! Takes what names an event; gives whether it was seen. Keeps a few marks a CPU.

use aya_ebpf::{macros::map, maps::PerCpuArray};

use super::kernel::Pointer;

/// Marks in use at once: one for the program that was interrupted, one for the interrupt, and
/// room for those that a stand-in never fetched because it was itself interrupted.
const MARKS: usize = 4;

/// What names an event for as long as it is handled.
///
/// The socket stands alone in its word: the verifier lets a program store and compare a kernel
/// pointer, but not calculate with it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Mark {
    sock: u64,
    what: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Seen {
    marks: [Mark; MARKS],
    next: u64,
}

/// What the first programs saw on this CPU. A place is free while its socket is 0; when
/// none is, the marks left over from stand-ins that were skipped are overwritten in turn.
#[map]
static SEEN: PerCpuArray<Seen> = PerCpuArray::with_max_entries(1, 0);

/// The mark of what happens to `sock`; `first` and `second` are below 256.
#[inline(always)]
pub(super) fn event(sock: Pointer, first: u8, second: u8) -> Mark {
    Mark {
        sock: sock as u64,
        what: u64::from(first) << 8 | u64::from(second),
    }
}

/// Leaves the mark of an event that was seen.
#[inline(always)]
pub(super) fn mark(event: Mark) {
    if let Some(seen) = SEEN.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own. An interrupt's program that writes it at the
        // same time can cost a mark, and the event is then reported twice, never lost.
        let seen = unsafe { &mut *seen };
        for place in &mut seen.marks {
            if place.sock == 0 {
                *place = event;
                return;
            }
        }
        let next = seen.next as usize & (MARKS - 1);
        if let Some(place) = seen.marks.get_mut(next) {
            *place = event;
            seen.next = next as u64 + 1;
        }
    }
}

/// Whether the event bears a mark; takes it away.
#[inline(always)]
pub(super) fn take(event: Mark) -> bool {
    let Some(seen) = SEEN.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: as for `mark`.
    let seen = unsafe { &mut *seen };
    for mark in &mut seen.marks {
        if mark.sock == event.sock && mark.what == event.what {
            mark.sock = 0;
            return true;
        }
    }
    false
}
