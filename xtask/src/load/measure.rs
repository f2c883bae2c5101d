//! Figures of a running agent, and the table of checks on them.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

use crate::demo::{metrics, sum};

/// One reading of `/metrics`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Connection ends ended so far.
    pub(super) ended: u64,
    /// Events lost so far.
    pub(super) lost: u64,
    /// Connection ends that are followed.
    pub(super) tracked: u64,
}

impl Reading {
    /// Reads the agent's metrics.
    pub(super) fn of(address: SocketAddr) -> Result<Self> {
        let text = metrics(address)?;
        Ok(Self {
            ended: sum(&text, "tcp_observer_connections_ended_total")?,
            lost: sum(&text, "tcp_observer_events_lost_total")?,
            tracked: sum(&text, "tcp_observer_tracked_connections")?,
        })
    }
}

/// Resident anonymous memory of a process, in KiB.
pub(crate) fn anonymous_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let value = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no RssAnon")?;
    Ok(value.trim().parse()?)
}

/// Prints each figure beside its limit, and counts violations.
#[derive(Debug, Default)]
pub(super) struct Checks {
    violated: usize,
}

impl Checks {
    /// One row.
    pub(super) fn row(
        &mut self,
        what: &str,
        measured: u64,
        limit: &str,
        holds: bool,
    ) -> Result<()> {
        let mark = if holds { "✓" } else { "✗" };
        self.violated += usize::from(!holds);
        writeln!(
            std::io::stdout(),
            "  {what:48} {measured:>12}  {limit:24} {mark}"
        )?;
        Ok(())
    }

    /// A figure that must be exactly this.
    pub(super) fn exactly(&mut self, what: &str, measured: u64, limit: u64) -> Result<()> {
        self.row(
            what,
            measured,
            &format!("exactly {limit}"),
            measured == limit,
        )
    }

    /// A figure that must not be more than this.
    pub(super) fn at_most(&mut self, what: &str, measured: u64, limit: u64) -> Result<()> {
        self.row(
            what,
            measured,
            &format!("at most {limit}"),
            measured <= limit,
        )
    }

    /// Fails if any row was violated.
    pub(super) fn conclude(self) -> Result<()> {
        if self.violated > 0 {
            bail!("{} checks were violated; the rows with ✗", self.violated);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_series_of_a_metric_are_added_and_no_other() {
        let text = "# TYPE x counter\nx{a=\"1\"} 3\nx{a=\"2\"} 4\nx_more 9\ny 1\n";
        assert_eq!(sum(text, "x").unwrap(), 7);
        assert_eq!(sum(text, "y").unwrap(), 1);
        sum(text, "z").unwrap_err();
    }
}
