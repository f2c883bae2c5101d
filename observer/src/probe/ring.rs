//! The ring buffer and the counters of what did not fit into it.
//!
//! Takes the object's maps; gives records in the order in which the kernel reserved them.
//! Never copies one. While records come it looks for more by itself, every few milliseconds;
//! the probes wake it only where it has said that it sleeps.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::thread;
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use observer_ebpf::wire::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::load::Maps;
use super::misses::Misses;
use super::shared::Shared;

/// Once the ring has something, more follows: waiting this long saves a wake-up for each.
pub const GATHER: Duration = Duration::from_millis(4);

/// The ring buffer and the counters of what did not fit into it.
pub struct Ring {
    events: AsyncFd<RingBuf<MapData>>,
    waiting: Shared,
    shed: Shared,
    drops: Shared,
    alone: Shared,
    misses: Misses,
    rest: Rest,
}

/// What the last drain found, and so how the next wait waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// More than its limit: not at all.
    None,
    /// Something: for a moment.
    Gather,
    /// Nothing: until it is woken.
    Sleep,
}

impl Rest {
    /// After a drain that took so many of at most `limit`.
    fn after(taken: usize, limit: usize) -> Self {
        match taken {
            _ if taken >= limit => Self::None,
            0 => Self::Sleep,
            _ => Self::Gather,
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    /// Needs a tokio runtime with IO around it.
    pub(super) fn new(maps: Maps, misses: Misses) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; a ring buffer keeps its descriptor open"
        )]
        let events = AsyncFd::with_interest(maps.events, Interest::READABLE)?;
        Ok(Self {
            events,
            waiting: maps.waiting,
            shed: maps.shed,
            drops: maps.drops,
            alone: maps.alone,
            misses,
            rest: Rest::Sleep,
        })
    }

    /// Waits [`GATHER`], and gives true, where the last drain found something. It blocks the thread:
    /// a timer of the runtime would switch to the thread that serves the web and back.
    pub fn gather(&self) -> bool {
        let gathers = self.rest == Rest::Gather;
        if gathers {
            thread::sleep(GATHER);
        }
        gathers
    }

    /// Waits for a record, where there is nothing to gather; drain the ring after each wait. Nothing
    /// is lost where it is dropped before it is over.
    pub async fn wait(&mut self) -> io::Result<()> {
        if self.rest == Rest::Sleep {
            self.waiting.set(1);
            // A record that was reserved before that wakes nobody.
            if !has_record(self.events.as_fd())? {
                self.events.readable_mut().await?.clear_ready();
            }
            sleep(GATHER).await;
        }
        Ok(())
    }

    /// Hands at most `limit` records to `take`, oldest first; returns how many.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let events = self.events.get_mut();
        let mut taken = 0;
        while taken < limit
            && let Some(record) = events.next()
        {
            take(&record);
            taken += 1;
        }
        self.rest = Rest::after(taken, limit);
        taken
    }

    /// Whether records of how connections come to be are left out from here on.
    pub fn shed_births(&self, shed: bool) {
        self.shed.set(shed.into());
    }

    /// Records lost so far because the ring was full, indexed by `wire::Kind` number.
    pub fn lost(&self) -> [u64; Kind::SLOTS as usize] {
        self.drops.add_up()
    }

    /// Events that the kernel showed to no probe so far, because those for them already ran on that
    /// CPU; indexed as [`Self::lost`], but far costlier to ask for. `regularly` is for who asks once
    /// a second, whatever happens.
    pub fn skipped(&mut self, regularly: bool) -> [u64; Kind::SLOTS as usize] {
        let alone: [u64; Kind::SLOTS as usize] = self.alone.add_up();
        self.misses.read(alone.iter().sum(), regularly)
    }
}

/// Whether the ring holds a record, be it written in full or only reserved.
fn has_record(ring: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(ring, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    retry_on_intr(|| poll(&mut polled, Some(&at_once)))?;
    let [polled] = polled;
    Ok(polled.revents().contains(PollFlags::IN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_only_after_a_drain_that_found_nothing() {
        assert_eq!(Rest::after(0, 8), Rest::Sleep);
        assert_eq!(Rest::after(1, 8), Rest::Gather);
        assert_eq!(Rest::after(7, 8), Rest::Gather);
        assert_eq!(Rest::after(8, 8), Rest::None);
    }
}
