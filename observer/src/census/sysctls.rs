//! What the administrator set for one network namespace.
//!
//! Takes the text of files under `/proc/sys/net/ipv4`, which shows the namespace of the thread
//! that reads it; gives numbers. A file that a kernel lacks leaves the kernel's default.

use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The settings that bound how many connections there can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctls {
    /// `ip_local_port_range`: ports that the kernel gives to clients.
    pub ephemeral: RangeInclusive<u16>,
    /// `ip_local_reserved_ports`: those of them that it does not.
    pub reserved: Vec<RangeInclusive<u16>>,
    /// `tcp_tw_reuse`; without `tcp_timestamps` no port of TIME_WAIT is taken.
    pub tw_reuse: TwReuse,
    /// `tcp_tw_reuse_delay`: how old it must be for that; a second where a kernel has
    /// no such knob.
    pub tw_reuse_delay: Duration,
    /// `tcp_max_tw_buckets`: minisocks at once.
    pub max_tw_buckets: u64,
}

/// Whether a connect may take a port from a TIME_WAIT of the same ends (`tcp_twsk_unique`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwReuse {
    /// 0, or there are no timestamps.
    No,
    /// 1
    Yes,
    /// 2, the default since 4.19.
    LoopbackOnly,
}

impl TwReuse {
    fn of(tw_reuse: Option<u64>, timestamps: Option<u64>) -> Self {
        match (tw_reuse, timestamps) {
            (Some(0), _) | (_, Some(0)) => Self::No,
            (Some(1), _) => Self::Yes,
            _ => Self::LoopbackOnly,
        }
    }
}

impl Default for Sysctls {
    fn default() -> Self {
        Self {
            ephemeral: 32_768..=60_999,
            reserved: Vec::new(),
            tw_reuse: TwReuse::LoopbackOnly,
            tw_reuse_delay: Duration::from_secs(1),
            max_tw_buckets: u64::MAX,
        }
    }
}

impl Sysctls {
    /// Reads those of the namespace that the calling thread is in.
    pub fn read() -> Self {
        let file = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok();
        let default = Self::default();
        let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
        Self {
            ephemeral: file("ip_local_port_range")
                .and_then(|text| range(&text, char::is_whitespace))
                .unwrap_or(default.ephemeral),
            reserved: file("ip_local_reserved_ports")
                .map(|text| ranges(&text))
                .unwrap_or_default(),
            tw_reuse: TwReuse::of(number("tcp_tw_reuse"), number("tcp_timestamps")),
            tw_reuse_delay: number("tcp_tw_reuse_delay")
                .map_or(default.tw_reuse_delay, Duration::from_millis),
            max_tw_buckets: number("tcp_max_tw_buckets").unwrap_or(default.max_tw_buckets),
        }
    }

    /// How many ports the kernel can give to clients of one destination.
    pub fn ephemeral_ports(&self) -> u32 {
        let (first, last) = (*self.ephemeral.start(), *self.ephemeral.end());
        let reserved = self.reserved.iter().map(|reserved| {
            let from = first.max(*reserved.start());
            let to = last.min(*reserved.end());
            u32::from(to).saturating_add(1).saturating_sub(from.into())
        });
        let all = u32::from(last)
            .saturating_add(1)
            .saturating_sub(first.into());
        all.saturating_sub(reserved.sum())
    }

    /// Whether the kernel could have given this port to a client.
    pub fn is_ephemeral(&self, port: u16) -> bool {
        self.ephemeral.contains(&port) && !self.reserved.iter().any(|it| it.contains(&port))
    }
}

fn range(text: &str, between: impl Fn(char) -> bool) -> Option<RangeInclusive<u16>> {
    let mut ports = text.split(between).filter(|part| !part.is_empty());
    let first = ports.next()?.trim().parse().ok()?;
    let last = ports.next().map_or(Ok(first), |last| last.trim().parse());
    Some(first..=last.ok()?)
}

/// `8080,9000-9100`; the kernel joins what touches or overlaps.
fn ranges(text: &str) -> Vec<RangeInclusive<u16>> {
    let parts = text.trim().split(',');
    parts.filter_map(|part| range(part, |c| c == '-')).collect()
}

#[cfg(test)]
mod tests {
    use super::{Sysctls, TwReuse, range, ranges};

    #[test]
    fn ports_are_counted_without_the_reserved_ones() {
        let sysctls = Sysctls {
            ephemeral: range("32768\t60999\n", char::is_whitespace).unwrap(),
            reserved: ranges("8080,32770-32779,60999-61010\n"),
            ..Sysctls::default()
        };
        assert_eq!(sysctls.ephemeral_ports(), 60_999 - 32_768 + 1 - 10 - 1);
        assert!(sysctls.is_ephemeral(32_768) && !sysctls.is_ephemeral(32_775));
        assert!(!sysctls.is_ephemeral(8080));
        assert_eq!(ranges("\n"), []);
        let one = Sysctls {
            ephemeral: 5..=5,
            ..Sysctls::default()
        };
        assert_eq!(one.ephemeral_ports(), 1);
    }

    #[test]
    fn without_timestamps_no_port_of_time_wait_is_taken() {
        assert_eq!(TwReuse::of(Some(1), Some(1)), TwReuse::Yes);
        assert_eq!(TwReuse::of(Some(2), None), TwReuse::LoopbackOnly);
        assert_eq!(TwReuse::of(None, Some(2)), TwReuse::LoopbackOnly);
        assert_eq!(TwReuse::of(Some(1), Some(0)), TwReuse::No);
        assert_eq!(TwReuse::of(Some(0), Some(1)), TwReuse::No);
    }

    #[test]
    fn those_of_this_namespace_are_read() {
        assert!(Sysctls::read().ephemeral_ports() > 0);
    }
}
