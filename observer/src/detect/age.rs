//! How old something is, as far as it is known.

use std::cmp::Ordering;
use std::time::Duration;

use serde::Serialize;

/// A time that passed, exact or at least so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Age {
    /// The time.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub time: Duration,
    /// It may be older: its beginning was not seen.
    pub at_least: bool,
}

impl Age {
    /// Its beginning was seen.
    pub const fn exactly(time: Duration) -> Self {
        Self {
            time,
            at_least: false,
        }
    }

    /// It began before this.
    pub const fn at_least(time: Duration) -> Self {
        Self {
            time,
            at_least: true,
        }
    }
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.at_least).cmp(&(other.time, other.at_least))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e3).round() / 1e3)
}
