//! What an agent costs: its memory, its time on a CPU, and how long a scrape takes.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::demo::metrics;
use crate::scenario::clock::now;

/// Time from one scrape to the next while they are watched.
const BETWEEN: Duration = Duration::from_millis(250);

/// Of a process, as `/proc` tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Resident memory, in KiB.
    pub(crate) resident_kib: u64,
    /// The most that it ever was.
    pub(crate) peak_kib: u64,
    /// Time on a CPU, all threads, those that have ended too.
    pub(crate) cpu: Duration,
}

impl Cost {
    /// Reads it.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> Result<u64> {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            Ok(value
                .with_context(|| format!("no {name}"))?
                .trim()
                .parse()?)
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Ok(Self {
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
            cpu: cpu(&stat).context("an odd stat")?,
        })
    }
}

/// `utime` and `stime`, fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms (`USER_HZ`).
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// One scrape.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    /// What came.
    pub(crate) text: String,
    /// From the connect to the last byte.
    pub(crate) took: Duration,
}

impl Scrape {
    /// Scrapes once.
    pub(crate) fn of(address: SocketAddr) -> Result<Self> {
        let start = now();
        let text = metrics(address)?;
        Ok(Self {
            text,
            took: start.elapsed(),
        })
    }

    /// The value of one series.
    pub(crate) fn value(&self, series: &str) -> Result<u64> {
        let mut lines = self.text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.with_context(|| format!("no series {series}"))?;
        value
            .parse()
            .with_context(|| format!("{series} is {value}"))
    }
}

/// Scrapes again and again until it is asked for the slowest one.
#[derive(Debug)]
pub(crate) struct Scraper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Duration, u64)>>,
}

impl Scraper {
    /// Starts.
    pub(crate) fn start(address: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("scraper".to_owned())
            .spawn(move || {
                let (mut slowest, mut count) = (Duration::ZERO, 0);
                while !stopped.load(Ordering::Relaxed) {
                    slowest = slowest.max(Scrape::of(address)?.took);
                    count += 1;
                    thread::sleep(BETWEEN);
                }
                Ok((slowest, count))
            })?;
        Ok(Self { stop, thread })
    }

    /// The slowest scrape, and how many there were.
    pub(crate) fn slowest(self) -> Result<(Duration, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let panicked = |_| Err(anyhow!("the scraper panicked"));
        self.thread.join().unwrap_or_else(panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_a_cpu_is_read_past_a_name_with_blanks_and_brackets() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 25 17 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_millis(420)));
    }

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let scrape = Scrape {
            text: "a_total 3\na{b=\"c\"} 4\na 5\n".to_owned(),
            took: Duration::ZERO,
        };
        assert_eq!(scrape.value("a").unwrap(), 5);
        assert_eq!(scrape.value("a{b=\"c\"}").unwrap(), 4);
        scrape.value("b").unwrap_err();
    }
}
