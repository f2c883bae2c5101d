//! The way out.
//!
//! Takes a kind and a function that fills its record; gives the record to the ring buffer, or
//! counts it as lost where the ring is full.

use aya_ebpf::{
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::map,
    maps::{Array, RingBuf},
};
use observer_ebpf::wire::{Header, Kind};

use super::kernel::Pointer;

/// The records. The agent sets the size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Records that found the ring full, by CPU and kind number. The agent sets how many CPUs there are.
#[map]
static DROPS: Array<PerKind> = Array::with_max_entries(1, MAPPABLE);

/// Not 0 while the agent sleeps until it is woken. While it works it looks again by itself, and a
/// wake-up for each record that finds the ring empty would cost more than the record.
#[map]
static WAITING: Array<u64> = Array::with_max_entries(1, MAPPABLE);

/// `BPF_F_MMAPABLE` of the UAPI: the agent reads and writes it in place.
pub(super) const MAPPABLE: u32 = 1 << 10;

/// Counts, indexed by [`Kind`] number.
pub(super) type PerKind = [u64; Kind::SLOTS as usize];

/// `BPF_RB_NO_WAKEUP` of the UAPI.
const NO_WAKEUP: u64 = 1;
/// `BPF_RB_FORCE_WAKEUP` of the UAPI.
const FORCE_WAKEUP: u64 = 2;

/// Sends a record of `kind` about `sock`. `fill` writes all of `T` but the header at its start
/// and the padding at its end.
#[inline(always)]
pub(super) fn send<T: 'static>(kind: Kind, sock: Pointer, fill: impl FnOnce(*mut T)) {
    const { assert!(size_of::<T>() >= size_of::<Header>() && align_of::<T>() == 8) };
    let Some(mut entry) = EVENTS.reserve::<T>(0) else {
        count_drop(kind);
        return;
    };
    let record = entry.as_mut_ptr();
    let header = Header {
        kind: kind as u16,
        size: size_of::<T>() as u16,
        // SAFETY: the helper has no requirement.
        cpu: unsafe { bpf_get_smp_processor_id() },
        // SAFETY: the helper has no requirement.
        at_ns: unsafe { bpf_ktime_get_boot_ns() },
        sock: sock as u64,
    };
    // SAFETY: every record starts with a header, is as aligned as its header and a multiple of
    // that alignment long, and the ring gave room for a whole record.
    unsafe {
        let words = size_of::<T>() / size_of::<u64>();
        // Padding is never longer than a word.
        record.cast::<u64>().add(words - 1).write(0);
        record.cast::<Header>().write(header);
    }
    fill(record);
    entry.submit(wake_up());
}

/// How the kernel is to treat a reader that sleeps: the first record after it said that it does
/// wakes it.
///
/// The reader says so, then looks whether a record is reserved. A CPU may reserve and still see
/// that nobody waits while the reader sees no record: then it sleeps until the next record, or its
/// own deadline of a second at most.
#[inline(always)]
fn wake_up() -> u64 {
    let Some(waiting) = WAITING.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the map holds a whole u64 there, which any CPU may write: at worst two wake the reader.
    unsafe {
        if waiting.read_volatile() == 0 {
            return NO_WAKEUP;
        }
        waiting.write_volatile(0);
    }
    FORCE_WAKEUP
}

#[inline(always)]
fn count_drop(kind: Kind) {
    count(&DROPS, kind);
}

/// Counts in this CPU's place of an array.
#[inline(always)]
pub(super) fn count(array: &Array<PerKind>, kind: Kind) {
    // SAFETY: the helper has no requirement.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(counts) = array.get_ptr_mut(cpu) else {
        return;
    };
    // SAFETY: the place is this CPU's own; a probe that comes in between may lose one count, never
    // corrupt it.
    if let Some(count) = unsafe { (*counts).get_mut(kind as usize) } {
        *count += 1;
    }
}
