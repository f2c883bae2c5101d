//! The agent under a real Prometheus, with the rules, alerts and dashboards that ship, while
//! connections end in every way.
//!
//! Takes the agent's path and the folder of the dashboards; gives a line for each check, and fails
//! if one does. Leaves no process, namespace or file behind, unless it is itself killed.

mod alerts;
mod answers;
mod checks;
mod expected;
mod fired;
mod panels;
mod prometheus;
#[cfg(test)]
mod shipped;
mod workload;

use std::io::{Write as _, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::demo::get;
use crate::scenario::clock::{CEILING, now, wait_for};
use crate::watching::Watching;
use prometheus::Prometheus;
use tempfile::TempDir;
use workload::{Shop, Workload};

/// How the checks went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Lines that are well.
    pub passed: usize,
    /// Lines that are not.
    pub failed: usize,
}

/// The lines, as they are printed.
#[derive(Debug, Default)]
struct Report(Score);

impl Report {
    /// One check: what it found, or what is wrong.
    fn line(&mut self, name: &str, found: Result<String>) -> Result<()> {
        let mut out = stdout();
        match found {
            Ok(found) => {
                self.0.passed += 1;
                writeln!(out, "✓ {name:<9} {found}")?;
            }
            Err(error) => {
                self.0.failed += 1;
                writeln!(out, "✗ {name:<9} {error:#}")?;
            }
        }
        Ok(())
    }

    /// The sum of all lines.
    fn conclude(self, took: Duration) -> Result<Score> {
        let Score { passed, failed } = self.0;
        let took = took.as_secs();
        writeln!(
            stdout(),
            "{passed} checks passed, {failed} failed, in {took} s"
        )?;
        Ok(self.0)
    }
}

/// What runs together. Fields are ended in this order.
struct Stage {
    workload: Workload,
    prometheus: Prometheus,
    folder: PathBuf,
    dashboards: PathBuf,
}

/// Runs everything once.
pub fn run(agent_path: &Path, dashboards: &Path) -> Result<Score> {
    let start = now();
    let folder = folder()?;
    let (agent, mut stage) = Stage::set(agent_path, dashboards, folder.path())?;
    let mut report = Report::default();
    stage.check(&agent, &mut report)?;
    let ended = stage.ends(agent);
    report.line("end", ended)?;
    stage.workload.stop()?;
    report.conclude(start.elapsed())
}

/// The same, and everything goes on for as long as `meanwhile` uses the Prometheus at this
/// address. What becomes of the agent then is not checked: Ctrl-C at a terminal reaches it too.
pub fn run_while(
    agent_path: &Path,
    dashboards: &Path,
    meanwhile: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<Score> {
    let start = now();
    let folder = folder()?;
    let (agent, mut stage) = Stage::set(agent_path, dashboards, folder.path())?;
    let mut report = Report::default();
    stage.check(&agent, &mut report)?;
    let score = report.conclude(start.elapsed())?;
    meanwhile(stage.prometheus.address)?;
    Ok(score)
}

fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("e2e-").tempdir();
    folder.context("cannot make a folder")
}

impl Stage {
    /// Starts everything.
    fn set(agent_path: &Path, dashboards: &Path, folder: &Path) -> Result<(Watching, Self)> {
        let link = folder.join("shop");
        let shop = Shop::make(&link)?;
        let audit = ["--audit-interval", "5s", "--netns", &link.to_string_lossy()];
        let agent = Watching::start(agent_path, &audit)?;
        // It can be scraped before it sees anything.
        wait_for("the agent to be ready", CEILING, || {
            Ok(get(agent.address, "/-/ready").ok())
        })?;
        let (prometheus, waits) = Prometheus::start(folder, dashboards, agent.address)?;
        writeln!(
            stdout(),
            "the agent at {}, Prometheus at http://{}, scrapes and evaluates each second\n\
             changed against what ships: `for` of {waits} alerts, seconds for minutes; ranges and \
             thresholds are as shipped",
            agent.address,
            prometheus.address
        )?;
        let stage = Self {
            workload: Workload::start(folder, shop)?,
            prometheus,
            folder: folder.to_owned(),
            dashboards: dashboards.to_owned(),
        };
        Ok((agent, stage))
    }

    fn check(&mut self, agent: &Watching, report: &mut Report) -> Result<()> {
        let made = workload::perform()?;
        let since = now();
        let raised = self.raised();
        report.line("endings", checks::endings(&self.prometheus, &made))?;
        report.line("raised", raised)?;
        self.workload.check()?;
        report.line("rules", checks::rules(&self.prometheus))?;
        report.line("metrics", checks::metrics(agent, &self.folder))?;
        checks::dashboards(&self.prometheus, &self.dashboards, report)?;
        // Each alert has had the time to fire.
        thread::sleep(expected::ALL_WAITED.saturating_sub(since.elapsed()));
        report.line("quiet", fired::quiet(&self.prometheus))
    }

    /// Waits until every alert that must has fired.
    fn raised(&mut self) -> Result<String> {
        /// A `for` is 15 s at most, and the agent needs some to see what is wrong.
        const LIMIT: Duration = Duration::from_secs(90);
        let mut missing = Vec::new();
        let firing = wait_for("alerts", LIMIT, || {
            self.workload.check()?;
            let firing = fired::fired(&self.prometheus)?;
            missing = expected::RAISED.to_vec();
            missing.retain(|(name, _)| !firing.contains(*name));
            Ok(missing.is_empty().then_some(firing))
        });
        let firing = firing.with_context(|| format!("these did not fire: {missing:?}"))?;
        let names: Vec<&str> = firing.iter().map(String::as_str).collect();
        Ok(format!(
            "{} alerts have fired: {}",
            names.len(),
            names.join(", ")
        ))
    }

    /// The agent ends, and that is told.
    fn ends(&self, agent: Watching) -> Result<String> {
        let start = now();
        let stopped = agent.agent.stop()?;
        if !stopped.status.success() {
            bail!(
                "the agent ended with {}: {:?}",
                stopped.status,
                stopped.errors
            );
        }
        wait_for(expected::WHEN_ENDED, Duration::from_secs(30), || {
            let firing = fired::fired(&self.prometheus)?;
            Ok(firing.contains(expected::WHEN_ENDED).then_some(()))
        })?;
        let took = start.elapsed().as_secs_f64();
        Ok(format!(
            "{} fires {took:.0} s after the agent was ended",
            expected::WHEN_ENDED
        ))
    }
}
