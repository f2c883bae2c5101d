//! Waiting with a ceiling.
//!
//! Takes a condition and the longest time it may need; gives its value or an error that
//! names what did not happen. Never waits without a bound.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::time::{ClockId, clock_gettime};

/// How long a step may take that needs no timer of the kernel. Emulated machines are slow.
pub const CEILING: Duration = Duration::from_secs(30);

const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the agent; scenarios and measurements time real sockets"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The clock that the kernel's own timers count by: since boot, of the last tick. On an emulated
/// machine ticks come late and then several at once, so that a timer of a second may take less
/// than half of one by [`now`].
pub fn last_tick() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?.into())
}

/// Asks `ready` again and again, ever more slowly, until it gives a value.
pub fn wait_for<T>(
    what: &str,
    ceiling: Duration,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if start.elapsed() > ceiling {
            bail!("waited {} s for {what}", ceiling.as_secs());
        }
        thread::sleep(pause);
        // Reading /proc/net/tcp walks the whole hash table of the host.
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
