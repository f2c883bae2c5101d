//! The clocks of this host.
//!
//! Gives the time since boot, as the probes stamp it, and turns such a stamp into wall time.
//! No other module asks a clock for the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::event::Timestamp;

/// `CLOCK_BOOTTIME`, and how far wall time is ahead of it.
#[derive(Debug)]
pub struct Clock {
    /// Wall time minus time since boot, in nanoseconds. The event loop writes it once a
    /// second, since wall time may be set; sinks read it.
    wall_offset_ns: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock whose wall time is right as of now.
    pub fn new() -> Self {
        let clock = Self::with_wall_offset(0);
        clock.refresh();
        clock
    }

    /// A clock with a given wall offset, for tests and recorded events.
    pub fn with_wall_offset(nanoseconds: i64) -> Self {
        Self {
            wall_offset_ns: AtomicI64::new(nanoseconds),
        }
    }

    /// The time since boot, suspend included.
    pub fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(read(ClockId::Boottime)).unwrap_or(0))
    }

    /// The time that the calling thread has spent on a CPU.
    pub fn thread_cpu() -> Duration {
        Duration::from_nanos(u64::try_from(read(ClockId::ThreadCPUTime)).unwrap_or(0))
    }

    /// Reads the wall clock again.
    pub fn refresh(&self) {
        let offset = read(ClockId::Realtime).saturating_sub(read(ClockId::Boottime));
        self.wall_offset_ns.store(offset, Ordering::Relaxed);
    }

    /// The wall time at which the kernel stamped `at`.
    pub fn wall(&self, at: Timestamp) -> jiff::Timestamp {
        let offset = i128::from(self.wall_offset_ns.load(Ordering::Relaxed));
        jiff::Timestamp::from_nanosecond(i128::from(at.0) + offset)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_stamp_becomes_wall_time() {
        let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
        let wall = clock.wall(Timestamp(1_000_000_001));
        assert_eq!(format!("{wall:.9}"), "2023-11-14T22:13:21.000000001Z");
    }

    #[test]
    fn the_wall_time_of_this_moment_is_within_this_century() {
        let clock = Clock::new();
        let wall = clock.wall(clock.now());
        assert!(wall.to_string().starts_with("20"), "{wall}");
    }
}
