//! Numbers that the probes and the agent share, in place.
//!
//! Takes an array that the kernel lets be mapped; gives its words. A system call for them would
//! keep kprobes from running on its CPU until it returns, however long another task has the CPU
//! meanwhile (`bpf_disable_instrumentation`), and costs more than to look.

use std::io;
use std::os::fd::AsFd as _;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::Map;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

/// Words of an array, as long as this is. The kernel keeps the array for as long.
#[derive(Debug)]
pub(super) struct Shared {
    words: *const AtomicU64,
    count: usize,
}

// SAFETY: it is memory of the process that nobody else unmaps, and all access is atomic.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps an array of so many words; its values are whole words.
    pub(super) fn new(map: &Map, count: usize) -> io::Result<Self> {
        let Map::Array(data) = map else {
            return Err(io::Error::other("it is no array"));
        };
        let (flags, access) = (MapFlags::SHARED, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the kernel chooses the address, and refuses more than the array has.
        let words = unsafe {
            mmap(
                ptr::null_mut(),
                length(count),
                access,
                flags,
                data.fd().as_fd(),
                0,
            )?
        };
        Ok(Self {
            words: words.cast(),
            count,
        })
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: that many words are mapped for as long as `self` is, zeroed at first and aligned to
        // a page.
        unsafe { std::slice::from_raw_parts(self.words, self.count) }
    }

    /// Changes the first word.
    pub(super) fn set(&self, value: u64) {
        if let Some(word) = self.words().first() {
            word.store(value, Ordering::SeqCst);
        }
    }

    /// Adds up rows of as many words as `sums` has.
    pub(super) fn add_up<const COUNT: usize>(&self) -> [u64; COUNT] {
        let mut sums = [0; COUNT];
        for row in self.words().chunks_exact(COUNT) {
            for (sum, word) in sums.iter_mut().zip(row) {
                *sum += word.load(Ordering::Relaxed);
            }
        }
        sums
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no reference outlives `self`.
        let unmapped = unsafe { munmap(self.words.cast_mut().cast(), length(self.count)) };
        if let Err(error) = unmapped {
            tracing::debug!(%error, "a map stays in memory");
        }
    }
}

/// In whole pages.
fn length(count: usize) -> usize {
    (count * size_of::<u64>()).next_multiple_of(page_size())
}
