//! How long a step took. The one place of xtask that reads a clock.

use std::fmt;
use std::time::{Duration, Instant};

/// A running clock.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "xtask times its own steps; nothing here feeds the pure core"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human(self.elapsed()))
    }
}

/// `8.2 s` below a minute, `3 min 05 s` above.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_read_in_minutes() {
        assert_eq!(human(Duration::from_millis(8_249)), "8.2 s");
        assert_eq!(human(Duration::from_secs(185)), "3 min 05 s");
    }
}
