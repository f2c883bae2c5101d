//! An agent that audits a network namespace, and what it says of it.
//!
//! Takes the agent's path and a namespace; gives the account at `/status` and the series at
//! `/metrics`. Never judges.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::agent::{Agent, Stopped};
use crate::demo::{get, metrics, sum};
use crate::scenario::clock::wait_for;

/// Two readings, the lag of the judgement, and what an emulated machine adds.
const JUDGED_CEILING: Duration = Duration::from_secs(90);

/// One counter of the namespace.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// The kernel's name.
    pub counter: String,
    /// Whether the agent judges the difference.
    pub judged: Option<bool>,
    /// What the agent does not see of it, if that is why.
    pub blind_to: Option<String>,
    /// Since the agent attached.
    pub since_start: Option<Sum>,
}

/// Both sides of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Sum {
    /// What the kernel counted.
    pub kernel: Option<i64>,
    /// What was observed.
    pub observed: Option<i64>,
    /// The one less the other.
    pub difference: Option<i64>,
    /// What nothing explains.
    pub unexplained: i64,
}

#[derive(Debug, Deserialize)]
struct Status {
    audit: Audit,
}

#[derive(Debug, Deserialize)]
struct Audit {
    namespaces: Vec<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    netns: String,
    since: Option<String>,
    interval: Option<[String; 2]>,
    counters: Vec<Line>,
}

/// A running agent.
#[derive(Debug)]
pub struct Auditor {
    agent: Agent,
    address: SocketAddr,
    netns: String,
}

impl Auditor {
    /// Starts `run --netns NETNS`, its JSON lines into `lines`, and waits until its first
    /// reading of the namespace is taken and judged.
    pub fn start(path: &Path, netns: &str, more: &[&str], lines: File) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let listen = address.to_string();
        let own = ["run", "--web.listen-address", &listen, "--netns", netns];
        let fast = ["--audit-interval", "1s", "--events-file", "-"];
        let arguments = [&own[..], &fast[..], more].concat();
        let auditor = Self {
            agent: Agent::start_into(path, &arguments, lines)?,
            address,
            netns: netns.to_owned(),
        };
        wait_for("the first reading", JUDGED_CEILING, || {
            Ok(auditor.account()?.since.map(drop))
        })?;
        Ok(auditor)
    }

    /// The counters once the agent has judged two readings in which the kernel had counted all
    /// that the namespace counted by now: what happened close to the first is certain in the
    /// second.
    pub fn settled(&self, kernel: &BTreeMap<String, i64>) -> Result<Vec<Line>> {
        let mut first = None;
        wait_for("the audit", JUDGED_CEILING, || {
            let account = self.account()?;
            let caught_up = account.counters.iter().all(|line| {
                let counted = line.since_start.and_then(|sum| sum.kernel);
                line.since_start.is_some() && counted >= kernel.get(&line.counter).copied()
            });
            if !caught_up {
                return Ok(None);
            }
            let interval = account.interval;
            let is_second = *first.get_or_insert_with(|| interval.clone()) != interval;
            Ok(is_second.then_some(account.counters))
        })
        .context("the agent has not read what the namespace counted")
    }

    /// The value of each series of the audit of this namespace, by metric and counter.
    pub fn series(&self) -> Result<BTreeMap<(String, String), i64>> {
        let text = metrics(self.address)?;
        let netns = format!(",netns=\"{}\"}} ", self.netns);
        let mut series = BTreeMap::new();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(&netns) else {
                continue;
            };
            if let Some((metric, counter)) = name.split_once("{counter=\"") {
                let key = (metric.to_owned(), counter.trim_end_matches('"').to_owned());
                series.insert(key, value.parse().context("odd metric")?);
            }
        }
        Ok(series)
    }

    /// Events that it lost so far.
    pub fn lost(&self) -> Result<u64> {
        sum(&metrics(self.address)?, "tcp_observer_events_lost_total")
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the agent.
    pub fn stop(self) -> Result<Stopped> {
        self.agent.stop()
    }

    fn account(&self) -> Result<Account> {
        let status: Status = serde_json::from_str(&get(self.address, "/status")?)?;
        let mut accounts = status.audit.namespaces.into_iter();
        match accounts.find(|account| account.netns == self.netns) {
            Some(account) => Ok(account),
            None => bail!("/status does not name {}", self.netns),
        }
    }
}
