//! What the kernel counted in one namespace at one time.
//!
//! Takes the text of `/proc/net/snmp` and `/proc/net/netstat`; gives [`Counts`].

use crate::event::Timestamp;

use super::Counter;

/// A value for each counter, in the order of [`Counter::ALL`]; `None`: this kernel has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([Option<u64>; Counter::ALL.len()]);

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Just before the files were read.
    pub from: Timestamp,
    /// Just after.
    pub to: Timestamp,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Its cookie, which no other namespace ever has; `None`: this kernel has none.
    pub cookie: Option<u64>,
    /// What they said.
    pub counts: Counts,
}

impl Counts {
    /// Reads both files. A counter that neither has, or that is no number, is `None`.
    pub fn parse(snmp: &str, netstat: &str) -> Self {
        let mut counts = Self::default();
        for text in [snmp, netstat] {
            let mut lines = text.lines().filter(|line| line.starts_with("Tcp"));
            while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
                let pairs = names.split_whitespace().zip(values.split_whitespace());
                for (name, value) in pairs.skip(1) {
                    counts.note(name, value);
                }
            }
        }
        counts
    }

    fn note(&mut self, name: &str, value: &str) {
        let of_name = |(counter, _): &(Counter, &mut Option<u64>)| counter.name() == name;
        if let Some((_, place)) = Counter::ALL.into_iter().zip(&mut self.0).find(of_name) {
            *place = value.parse().ok();
        }
    }

    /// The value of one counter.
    pub fn get(&self, counter: Counter) -> Option<u64> {
        self.0.get(counter as usize).copied().flatten()
    }

    /// Whether no counter was found: then it was not the right file.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// What was counted since `before`; `None` if a counter went back, as no kernel's does.
    pub(super) fn since(&self, before: &Self) -> Option<Self> {
        let mut grown = Self::default();
        for ((place, now), before) in grown.0.iter_mut().zip(self.0).zip(before.0) {
            *place = match (now, before) {
                (Some(now), Some(before)) => Some(now.checked_sub(before)?),
                (Some(_), None) | (None, _) => None,
            };
        }
        Some(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name_in_both_files() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin AttemptFails EstabResets OutRsts\n\
                    Tcp: 200 7 5 18446744073709551615\nUdp: OutRsts\nUdp: 9\n";
        let netstat = "TcpExt: SyncookiesSent TW TCPAbortOnData\nTcpExt: 1 2 x\n\
                       IpExt: InNoRoutes\nIpExt: 3\n";
        let counts = Counts::parse(snmp, netstat);
        assert_eq!(counts.get(Counter::AttemptFails), Some(7));
        assert_eq!(counts.get(Counter::EstabResets), Some(5));
        assert_eq!(counts.get(Counter::OutRsts), Some(u64::MAX));
        assert_eq!(counts.get(Counter::TimeWaits), Some(2));
        assert_eq!(counts.get(Counter::AbortOnData), None);
        assert_eq!(counts.get(Counter::TimeWaitsKilled), None);
        assert!(Counts::parse("", "nothing\n").is_empty());
    }
}
