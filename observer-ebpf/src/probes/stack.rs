//! The user stack of the task that this CPU runs.
//!
//! Takes a hook's context; gives a [`Stack`] behind a record, where the agent asks for stacks.
//! The kernel follows frame pointers, and reads nothing that is not in memory.

use core::ffi::c_void;

use aya_ebpf::{Global, helpers::generated::bpf_get_stack};
use observer_ebpf::wire::{Kind, Stack};

use super::kernel::Pointer;
use super::ring::send;

/// Whether the agent asks for stacks. A constant to the verifier, which takes out what never runs.
#[unsafe(no_mangle)]
static STACKS: Global<u32> = Global::new(0);

/// `BPF_F_USER_STACK` of the UAPI.
const USER_STACK: u64 = 1 << 8;

/// A record with the stack behind it.
#[repr(C)]
struct WithStack<T> {
    record: T,
    stack: Stack,
}

/// Sends a record, with the stack behind it if `opens`: the task that runs has made the
/// connection its own.
#[inline(always)]
pub(super) fn send_opening<T: 'static>(
    kind: Kind,
    sock: Pointer,
    context: *mut c_void,
    opens: bool,
    fill: impl Fn(*mut T),
) {
    if opens && STACKS.load() != 0 {
        send(kind, sock, |both: *mut WithStack<T>| {
            // SAFETY: `both` is a reserved record.
            unsafe {
                fill(&raw mut (*both).record);
                take(&raw mut (*both).stack, context);
            }
        });
    } else {
        send(kind, sock, fill);
    }
}

/// What lies past the frames keeps whatever the ring held there.
#[inline(always)]
fn take(part: *mut Stack, context: *mut c_void) {
    // SAFETY: `part` lies in a reserved record, and `context` is the hook's own; the helper
    // writes no more than the frames' size.
    unsafe {
        let frames = (&raw mut (*part).frames).cast::<c_void>();
        let size = size_of::<[u64; Stack::FRAMES]>() as u32;
        (*part).bytes = bpf_get_stack(context, frames, size, USER_STACK);
    }
}
