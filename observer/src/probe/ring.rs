//! The ring buffer and the counters of what did not fit into it.
//!
//! Takes the object's two maps; gives records in the order in which the kernel reserved them.
//! Never copies one.

use std::fmt;
use std::io;

use aya::maps::{MapData, PerCpuArray, RingBuf};
use observer_ebpf::wire::Kind;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::misses::Misses;

/// The ring buffer and the counters of what did not fit into it.
pub struct Ring {
    events: AsyncFd<RingBuf<MapData>>,
    drops: PerCpuArray<MapData, u64>,
    misses: Misses,
    /// The last drain stopped at its limit: the kernel wakes a reader only for a record that
    /// finds the ring empty, so the next wait must not wait.
    more: bool,
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    /// Needs a tokio runtime with IO around it.
    pub(super) fn new(
        events: RingBuf<MapData>,
        drops: PerCpuArray<MapData, u64>,
        misses: Misses,
    ) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; a ring buffer keeps its descriptor open"
        )]
        let events = AsyncFd::with_interest(events, Interest::READABLE)?;
        Ok(Self {
            events,
            drops,
            misses,
            more: false,
        })
    }

    /// Waits until there is something to read. Drain the ring after each wait.
    pub async fn readable(&mut self) -> io::Result<()> {
        if !self.more {
            self.events.readable_mut().await?.clear_ready();
        }
        Ok(())
    }

    /// Hands at most `limit` records to `take`, oldest first; returns how many.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let events = self.events.get_mut();
        self.more = true;
        for taken in 0..limit {
            let Some(record) = events.next() else {
                self.more = false;
                return taken;
            };
            take(&record);
        }
        limit
    }

    /// Records lost so far because the ring was full, indexed by `wire::Kind` number.
    pub fn lost(&self) -> io::Result<[u64; Kind::SLOTS as usize]> {
        let mut lost = [0; Kind::SLOTS as usize];
        for (slot, total) in (0..).zip(&mut lost) {
            let per_cpu = self.drops.get(&slot, 0).map_err(io::Error::other)?;
            *total = per_cpu.iter().sum();
        }
        Ok(lost)
    }

    /// Events that the kernel skipped so far because their probe already ran on that CPU, and
    /// that no stand-in reported; indexed as [`Self::lost`], but far costlier to ask for.
    pub fn skipped(&self) -> [u64; Kind::SLOTS as usize] {
        self.misses.read()
    }
}
