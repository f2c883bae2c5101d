//! What the agent leaves out for now.
//!
//! Takes nothing; gives whether records of a sort are wanted. The agent changes it while the
//! probes run.

use aya_ebpf::{macros::map, maps::Array};

use super::ring::MAPPABLE;

/// Not 0 while records of how connections come to be are not wanted.
#[map]
static SHED: Array<u64> = Array::with_max_entries(1, MAPPABLE);

/// Whether records of how connections come to be are wanted.
#[inline(always)]
pub(super) fn wants_births() -> bool {
    let Some(shed) = SHED.get_ptr(0) else {
        return true;
    };
    // SAFETY: the map holds a whole u64 there, which only the agent writes.
    unsafe { shed.read_volatile() == 0 }
}
