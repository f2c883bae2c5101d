//! No step by itself: the kernel keeps them with the socket, and one record tells all of them
//! when it closes.
//!
//! Twice: in the socket's own storage, which the kernel allocates for each, and in a hash of
//! places that are there from the start. Nothing is to be told when the socket is let go of.

use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    btf_maps::SkStorage,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns, bpf_sk_storage_get},
    macros::{btf_map, btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};

use crate::change::Change;
use crate::fill::state;

/// More than a connection's usual life has; a power of two.
const STEPS: usize = 8;

/// One step.
#[repr(C)]
#[derive(Clone, Copy)]
struct Step {
    at_ns: u64,
    pid: u32,
    old: u8,
    new: u8,
    zero: u16,
}

/// The steps so far; of more than there is room for, the last.
#[repr(C)]
struct Trail {
    steps: [Step; STEPS],
    count: u64,
}

/// Lies in a map: on the stack it would be cleared byte by byte.
static EMPTY: Trail = Trail {
    steps: [Step {
        at_ns: 0,
        pid: 0,
        old: 0,
        new: 0,
        zero: 0,
    }; STEPS],
    count: 0,
};

#[btf_map]
static STORED: SkStorage<Trail> = SkStorage::new();

/// By the socket's address.
#[map]
static HASHED: HashMap<u64, Trail> = HashMap::with_max_entries(1 << 16, 0);

#[btf_tracepoint(function = "inet_sock_set_state")]
fn stored_state(ctx: BtfTracePointContext) {
    let Some(change) = Change::of(&ctx) else {
        return;
    };
    let flags = if change.is_birth() {
        u64::from(BPF_SK_STORAGE_GET_F_CREATE)
    } else {
        0
    };
    let map = (&raw const STORED).cast_mut().cast();
    // SAFETY: argument 0 is a `struct sock`; the helper gives a whole trail or NULL.
    unsafe {
        let sock = change.sock.cast_mut();
        let trail = bpf_sk_storage_get(map, sock, core::ptr::null_mut(), flags).cast::<Trail>();
        if !trail.is_null() {
            follow(trail, change);
        }
    }
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn hashed_state(ctx: BtfTracePointContext) {
    let Some(change) = Change::of(&ctx) else {
        return;
    };
    let key = change.sock as u64;
    if change.is_birth() {
        let _full = HASHED.insert(key, &EMPTY, 0);
    }
    if let Some(trail) = HASHED.get_ptr_mut(key) {
        // SAFETY: the map holds a whole trail there, of a socket that this hook has locked.
        unsafe { follow(trail, change) };
        if change.new == state::CLOSE {
            let _gone = HASHED.remove(key);
        }
    }
}

/// Adds a step, and tells all if it is the last.
///
/// # Safety
/// `trail` is one of a map, and nobody else writes it.
#[inline(always)]
unsafe fn follow(trail: *mut Trail, change: Change) {
    // SAFETY: the caller vouches for `trail`; no place lies beyond its steps.
    unsafe {
        let count = (*trail).count;
        let place = (&raw mut (*trail).steps).cast::<Step>();
        let place = place.add(count as usize & (STEPS - 1));
        (*place).at_ns = bpf_ktime_get_boot_ns();
        (*place).pid = if change.is_made_by_a_task() {
            (bpf_get_current_pid_tgid() >> 32) as u32
        } else {
            0
        };
        (*place).old = change.old;
        (*place).new = change.new;
        (*trail).count = count + 1;
        if change.new == state::CLOSE {
            change.tell(|record: *mut Trail| copy(record, trail));
        }
    }
}

/// # Safety
/// Both are whole trails.
#[inline(always)]
unsafe fn copy(to: *mut Trail, from: *const Trail) {
    for word in 0..size_of::<Trail>() / size_of::<u64>() {
        // One store each: the compiler would otherwise call a function that copies byte by byte.
        // SAFETY: the caller vouches for both, which are as aligned as their largest number.
        unsafe {
            let value = from.cast::<u64>().add(word).read();
            to.cast::<u64>().add(word).write_volatile(value);
        }
    }
}
