//! How often clients may ask, all of them together.
//!
//! Takes an interval and a burst; says of each request whether it is one too many.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::file::{Interval, RateLimit};
use crate::event::Timestamp;
use crate::settings;

/// One request an interval, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    interval: Duration,
    burst: u32,
}

/// How many intervals the clients are ahead, and when that was found out; it outlives the rules,
/// so that a new file does not give another burst.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Option<(f64, Timestamp)>>);

pub(super) fn build(written: &RateLimit) -> Result<Option<Rate>, String> {
    let interval = match &written.interval {
        None | Some(Interval::Number(0)) => return Ok(None),
        Some(Interval::Text(text)) if ["0", "0s"].contains(&text.as_str()) => return Ok(None),
        Some(Interval::Text(text)) => {
            duration(text).map_err(|why| format!("rate_limit.interval: {why}"))?
        }
        Some(Interval::Number(_)) => {
            return Err(
                "rate_limit.interval: expected a time with its unit, such as 1s".to_owned(),
            );
        }
    };
    match written.burst {
        Some(burst) if burst > 0 => Ok(Some(Rate { interval, burst })),
        None | Some(_) => Err(
            "rate_limit.burst: without at least 1 no request is ever answered; give it".to_owned(),
        ),
    }
}

/// As Go reads it, which has fewer ways to write a time.
fn duration(text: &str) -> Result<Duration, String> {
    let is_go = |letter: char| letter.is_ascii_digit() || ".hmsun\u{b5}\u{3bc}".contains(letter);
    if text.chars().all(is_go) {
        settings::duration(text)
    } else {
        Err("expected a time with its unit, such as 10s, 1m30s or 500ms".to_owned())
    }
}

impl Bucket {
    /// Whether there is room for one more request.
    pub(super) fn allows(&self, rate: Rate, now: Timestamp) -> bool {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, at) = level.unwrap_or((0.0, now));
        let rested = now.since(at).as_secs_f64() / rate.interval.as_secs_f64();
        let used = (used - rested).max(0.0);
        let allows = used + 1.0 <= f64::from(rate.burst);
        *level = Some((if allows { used + 1.0 } else { used }, now));
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(interval: Interval, burst: Option<u32>) -> Result<Option<Rate>, String> {
        build(&RateLimit {
            interval: Some(interval),
            burst,
        })
    }

    #[test]
    fn after_a_burst_there_is_one_an_interval() {
        let rate = rate(Interval::Text("100ms".to_owned()), Some(3))
            .unwrap()
            .unwrap();
        let bucket = Bucket::default();
        let at = |ms: u64| Timestamp(1_000_000_000 + ms * 1_000_000);
        let allowed = |ms: &[u64]| ms.iter().filter(|ms| bucket.allows(rate, at(**ms))).count();
        assert_eq!(allowed(&[0, 0, 0, 0, 50]), 3);
        assert_eq!(allowed(&[110, 111, 150]), 1);
        assert_eq!(allowed(&[5000, 5000, 5000, 5000]), 3);
    }

    #[test]
    fn no_interval_is_no_limit_and_no_burst_is_an_error() {
        assert_eq!(rate(Interval::Number(0), None), Ok(None));
        assert_eq!(build(&RateLimit::default()), Ok(None));
        let text = || Interval::Text("1s".to_owned());
        assert!(rate(text(), None).unwrap_err().contains("rate_limit.burst"));
        assert!(
            rate(text(), Some(0))
                .unwrap_err()
                .contains("rate_limit.burst")
        );
        assert!(
            rate(Interval::Number(5), Some(1))
                .unwrap_err()
                .contains("1s")
        );
        for text in ["soon", "1 s", "1min", "PT1S", ""] {
            let wrong = rate(Interval::Text(text.to_owned()), Some(1)).unwrap_err();
            assert!(wrong.contains("rate_limit.interval"), "{wrong}");
        }
    }
}
