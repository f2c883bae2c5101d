//! A real Prometheus for some minutes.
//!
//! Takes the agent's address, the rules that ship and a folder; gives what its HTTP API answers.
//! Ends it when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::alerts::shortened;
use super::answers::{Alert, Alerts, Groups, Outcome, Rule, Samples};
use crate::scenario::clock::wait_for;
use crate::scenario::forking::spawn;

/// It looks for targets some seconds after it has started.
const READY: Duration = Duration::from_secs(30);

const CONFIGURATION: &str = "\
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml, alerts.yaml]
scrape_configs:
  - job_name: tcp-observer
    static_configs: [{targets: [TARGET]}]
";

/// The server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Prometheus {
    child: Child,
    /// Where its API is.
    pub(super) address: SocketAddr,
    web: ureq::Agent,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

impl Prometheus {
    /// Starts it; gives how many alerts wait for less than they do where they ship, too.
    pub(super) fn start(
        folder: &Path,
        dashboards: &Path,
        target: SocketAddr,
    ) -> Result<(Self, usize)> {
        let read = |name: &str| {
            let path = dashboards.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (alerts, count) = shortened(&read("alerts.yaml")?)?;
        let configuration = CONFIGURATION.replace("TARGET", &format!("\"{target}\""));
        for (name, text) in [
            ("rules.yaml", read("rules.yaml")?),
            ("alerts.yaml", alerts),
            ("prometheus.yml", configuration),
        ] {
            fs::write(folder.join(name), text)?;
        }
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new("prometheus");
        command
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("prometheus.log"))?);
        let child = spawn(&mut command).context("`cargo xtask setup prometheus` installs it")?;
        let limits = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10)));
        let web = limits.http_status_as_error(false).build().into();
        let mut server = Self {
            child,
            address,
            web,
        };
        server.wait_scraped(folder)?;
        Ok((server, count))
    }

    fn wait_scraped(&mut self, folder: &Path) -> Result<()> {
        wait_for("Prometheus to scrape the agent", READY, || {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(folder.join("prometheus.log"))?;
                bail!("prometheus ended with {status}: {}", said.trim());
            }
            let scraped = self.query("up == 1").is_ok_and(|it| it.shows_something());
            Ok(scraped.then_some(()))
        })
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, pairs: &[(&str, &str)]) -> Result<T> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let mut request = self.web.get(&url);
        for (name, value) in pairs {
            request = request.query(*name, *value);
        }
        let mut response = request.call().with_context(|| url.clone())?;
        let text = response.body_mut().read_to_string()?;
        let answer: Answer<T> = serde_json::from_str(&text).with_context(|| text.clone())?;
        let error = || answer.error.unwrap_or_else(|| text.clone());
        answer.data.ok_or_else(|| anyhow!("{}", error()))
    }

    /// One moment.
    pub(super) fn query(&self, expr: &str) -> Result<Samples> {
        self.ask("query", &[("query", expr)])
    }

    /// The last minute, every five seconds.
    pub(super) fn query_range(&self, expr: &str) -> Result<Samples> {
        let end = jiff::Timestamp::now().as_second();
        let (start, end) = ((end - 60).to_string(), end.to_string());
        let range = [
            ("query", expr),
            ("start", &start),
            ("end", &end),
            ("step", "5"),
        ];
        self.ask("query_range", &range)
    }

    /// The values of a label.
    pub(super) fn label_values(&self, label: &str, selector: Option<&str>) -> Result<Vec<String>> {
        let matching = selector.map(|selector| ("match[]", selector));
        self.ask(&format!("label/{label}/values"), matching.as_slice())
    }

    /// Alerts that are pending or firing.
    pub(super) fn alerts(&self) -> Result<Vec<Alert>> {
        Ok(self.ask::<Alerts>("alerts", &[])?.alerts)
    }

    /// All rules; fails if one could not be evaluated.
    pub(super) fn rules(&self) -> Result<Vec<Rule>> {
        let groups: Groups = self.ask("rules", &[])?;
        let rules: Vec<Rule> = groups.groups.into_iter().flat_map(|it| it.rules).collect();
        for rule in &rules {
            let error = rule.error.as_deref().unwrap_or_default();
            ensure!(
                rule.health == Outcome::Ok,
                "{} cannot be evaluated: {error}",
                rule.name
            );
        }
        Ok(rules)
    }
}

impl Drop for Prometheus {
    /// It writes its data before it ends; that is of no use here, but a killed one leaves a lock.
    fn drop(&mut self) {
        let asked =
            i32::try_from(self.child.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        let ended = asked.is_ok_and(|it| it.is_ok())
            && wait_for("prometheus to end", Duration::from_secs(10), || {
                Ok(self.child.try_wait()?)
            })
            .is_ok();
        if !ended {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
