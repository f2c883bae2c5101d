//! What the words on the command line mean.
//!
//! Takes text; gives typed values or a message that says what would be accepted. Pure, but
//! for the name `localhost` and its like, which the resolver turns into an address.

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use crate::classify::{Ending, Verdict};
use crate::event::Comm;
use crate::track::Limits;

/// Where a scraper finds the agent unless told otherwise (RFC 793).
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:10793";

/// Time between two readings of the kernel's counters unless told otherwise.
pub const DEFAULT_AUDIT_INTERVAL: &str = "30s";

/// Age from which a socket in CLOSE_WAIT counts as leaked unless told otherwise.
pub const DEFAULT_LEAK_AFTER: &str = "60s";

/// Time from one census to the next unless told otherwise.
pub const DEFAULT_CENSUS_INTERVAL: &str = "15s";

/// Bounds of the tracker's memory.
pub const LIMITS: Limits = Limits {
    connections: 1_048_576,
    records: 262_144,
    steps: 32,
};

/// No dashboard shows more, and every one of them is a burden to Prometheus.
const MOST_SERIES: usize = 200;

/// The kernel keeps 15 bytes of a thread's name.
const COMM_BYTES: usize = 15;

/// Which verdicts `trace` prints. A condition that is not set accepts everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Either end has this port.
    pub port: Option<u16>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Who closed, or who accepted or connected, has this name.
    pub comm: Option<String>,
    /// One of these endings; empty accepts all.
    pub endings: Vec<Ending>,
}

impl Filter {
    /// Whether this verdict is wanted.
    pub fn accepts(&self, verdict: &Verdict) -> bool {
        let port = self.port.is_none_or(|port| {
            verdict
                .ends
                .is_some_and(|ends| ends.local.port() == port || ends.peer.port() == port)
        });
        let comm = self.comm.as_ref().is_none_or(|comm| {
            [&verdict.closed_by, &verdict.opened_by]
                .into_iter()
                .flatten()
                .any(|task| *task.comm == **comm)
        });
        port && comm
            && self.netns.is_none_or(|netns| netns == verdict.netns)
            && (self.endings.is_empty() || self.endings.contains(&verdict.ending))
    }
}

/// `ADDRESS:PORT`, `[ADDRESS]:PORT`, `:PORT` for every address, or `NAME:PORT`.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wanted = "expected ADDRESS:PORT such as 127.0.0.1:10793, [::1]:10793 or :10793";
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(wanted.to_owned());
    };
    let port: u16 = port
        .parse()
        .map_err(|error| format!("{error} in the port; {wanted}"))?;
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    if host.contains([':', '[', ']']) {
        return Err(wanted.to_owned());
    }
    let resolved = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next());
    resolved
        .ok_or_else(|| format!("{host} is neither an address nor a name that resolves; {wanted}"))
}

/// A path such as `/metrics`.
pub fn telemetry_path(text: &str) -> Result<String, String> {
    let taken = ["/", "/status"].contains(&text);
    if taken
        || ["/api/", "/page/", "/-/"]
            .iter()
            .any(|it| text.starts_with(it))
    {
        return Err(format!("{text} is served already; choose another path"));
    }
    let plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>');
    if !text.starts_with('/') || !text.bytes().all(plain) {
        return Err("expected a path that starts with / and has neither ? nor #".to_owned());
    }
    Ok(text.to_owned())
}

/// A span such as `10s`, `1m30s` or `500ms`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wanted = "expected a time with its unit, such as 10s, 1m30s or 500ms";
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|error| format!("{wanted} ({error})"))?;
    match Duration::try_from(parsed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) | Err(_) => Err(format!("{wanted}, longer than zero")),
    }
}

/// A span between a second and an hour: each reading costs the kernel a look at every CPU, each
/// census a walk over its table of connections.
pub fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&interval) {
        Ok(interval)
    } else {
        Err("expected a time from 1s to 1h".to_owned())
    }
}

/// A share of one CPU, from `1%` to `100%`.
pub fn cpu_budget(text: &str) -> Result<f64, String> {
    let wanted = "expected a share of one CPU from 1% to 100%, such as 5%";
    let percent = text.strip_suffix('%').and_then(|it| it.parse::<f64>().ok());
    let percent = percent.filter(|it| (1.0..=100.0).contains(it));
    Ok(percent.ok_or(wanted)? / 100.0)
}

/// How many names or numbers have series of their own.
pub fn most(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST_SERIES);
    number.ok_or_else(|| format!("expected a number from 0 to {MOST_SERIES}"))
}

/// A thread's name as the kernel keeps it.
pub fn comm(text: &str) -> Result<String, String> {
    if text.len() <= COMM_BYTES {
        return Ok(text.to_owned());
    }
    let kept = Comm::from(text);
    Err(format!(
        "the kernel keeps {COMM_BYTES} bytes of a name; try {kept}"
    ))
}

/// Bytes of the ring buffer: a power of two between 64 KiB and 1 GiB.
pub fn ring_bytes(text: &str) -> Result<u32, String> {
    let wanted = "expected a power of two from 64KiB to 1GiB, such as 16MiB";
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let scale: u32 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wanted.to_owned()),
    };
    let bytes = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(scale));
    bytes
        .filter(|bytes| bytes.is_power_of_two() && (1 << 16..=1 << 30).contains(bytes))
        .ok_or_else(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_as_exporters_read_them() {
        for (text, address) in [
            ("127.0.0.1:10793", "127.0.0.1:10793"),
            ("[::1]:10793", "[::1]:10793"),
            (":9100", "[::]:9100"),
        ] {
            assert_eq!(listen_address(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "127.0.0.1",
            "127.0.0.1:x",
            "127.0.0.1:70000",
            "::1:80",
            "[::1",
            "a b:1",
        ] {
            assert!(listen_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["10", "", "s", "-5s", "0s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_is_neither_too_short_nor_too_long() {
        assert_eq!(
            interval(DEFAULT_AUDIT_INTERVAL),
            Ok(Duration::from_secs(30))
        );
        assert_eq!(interval("1s"), Ok(Duration::from_secs(1)));
        for text in ["999ms", "2h", "30"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_budget_is_a_share_of_one_cpu() {
        for (text, share) in [("5%", 0.05), ("1.5%", 0.015), ("100%", 1.0)] {
            assert!((cpu_budget(text).unwrap() - share).abs() < 1e-9, "{text}");
        }
        for text in [
            "", "%", "0%", "0.5", "0.5%", "101%", "-1%", "NaN%", "5 %", "inf%",
        ] {
            assert!(cpu_budget(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ring_sizes_are_powers_of_two() {
        assert_eq!(ring_bytes("16MiB"), Ok(16 << 20));
        assert_eq!(ring_bytes("65536"), Ok(65536));
        for text in ["", "3MiB", "4KiB", "4GiB", "16MB", "MiB", "99999999999GiB"] {
            assert!(ring_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_telemetry_path_takes_no_path_that_is_served() {
        assert_eq!(telemetry_path("/metrics"), Ok("/metrics".to_owned()));
        assert_eq!(telemetry_path("/api"), Ok("/api".to_owned()));
        for text in [
            "",
            "metrics",
            "/",
            "/status",
            "/api/v1/findings",
            "/page/page.js",
            "/-/healthy",
            "/a?b",
            "/a b",
        ] {
            assert!(telemetry_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_longer_than_the_kernel_keeps_is_refused_with_what_would_match() {
        assert_eq!(comm("nginx"), Ok("nginx".to_owned()));
        let refused = comm("a-very-long-process-name").unwrap_err();
        assert!(refused.ends_with("try a-very-long-pro"), "{refused}");
    }
}
