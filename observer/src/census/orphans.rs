//! Orphans: sockets that no file holds any more and that still have something to send or to
//! wait for.
//!
//! Takes nothing; gives what the kernel counts on the whole host, and how many it bears. The
//! count stands in every network namespace's `/proc/net/sockstat`, the bound
//! (`tcp_max_orphans`) only in the first namespace's `/proc/sys`.

use std::fs;

/// Orphans of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphans {
    /// How many there are. The kernel adds up what each CPU counted, so it is not quite exact.
    pub count: u64,
    /// `tcp_max_orphans`: with more, the kernel resets them.
    pub most: u64,
}

impl Orphans {
    /// Reads them in the namespace that the calling thread is in; `None` unless it is the first
    /// of the host.
    pub(super) fn read() -> Option<Self> {
        let most = fs::read_to_string("/proc/sys/net/ipv4/tcp_max_orphans").ok()?;
        let counted = fs::read_to_string("/proc/thread-self/net/sockstat").ok()?;
        Some(Self {
            count: count(&counted)?,
            // Below 0 there is room for none.
            most: u64::try_from(most.trim().parse::<i64>().ok()?).unwrap_or(0),
        })
    }
}

/// `TCP: inuse 4 orphan 0 tw 2 alloc 6 mem 1`
fn count(sockstat: &str) -> Option<u64> {
    let mut lines = sockstat.lines();
    let mut words = lines
        .find_map(|line| line.strip_prefix("TCP: "))?
        .split(' ');
    words.find(|word| *word == "orphan")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Orphans, count};

    #[test]
    fn the_line_of_tcp_tells_them() {
        let text = "sockets: used 13\nTCP: inuse 1 orphan 42 tw 0 alloc 1 mem 26\nUDP: inuse 0\n";
        assert_eq!(count(text), Some(42));
        assert_eq!(count("sockets: used 13\n"), None);
    }

    #[test]
    fn the_first_namespace_tells_them_and_no_other() {
        let bound = std::path::Path::new("/proc/sys/net/ipv4/tcp_max_orphans");
        assert_eq!(Orphans::read().is_some(), bound.exists());
    }
}
