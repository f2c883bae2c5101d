//! An agent that takes a census as often as it can, and what it finds.
//!
//! Takes the agent's path; gives the pages of its web, each as old as is said. Never leaves the
//! agent running.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::Value;

use crate::agent::Agent;
use crate::demo::get;
use crate::scenario::clock::wait_for;
use crate::scenario::net::Net;

/// A census rests fifty times as long as it was on a CPU, and an emulated machine is slow.
pub const CENSUS_CEILING: Duration = Duration::from_mins(3);

/// A socket counts as leaked from this age on, unless told otherwise.
pub const LEAK_AFTER: Duration = Duration::from_secs(2);

/// The agent.
#[derive(Debug)]
pub struct Watching {
    /// Its process.
    pub agent: Agent,
    /// Where its web is.
    pub address: SocketAddr,
}

impl Watching {
    /// Starts `tcp-observer run` with these options more; a socket leaks from [`LEAK_AFTER`] on.
    pub fn start(path: &Path, options: &[&str]) -> Result<Self> {
        let after = format!("{}s", LEAK_AFTER.as_secs());
        Self::leaked_after(path, &after, options)
    }

    /// The same, and a socket counts as leaked after so long.
    pub fn leaked_after(path: &Path, after: &str, options: &[&str]) -> Result<Self> {
        let fast = ["--close-wait.leak-after", after, "--census-interval", "1s"];
        Self::with(path, &[&fast, options].concat())
    }

    /// Starts `tcp-observer run` with these options, and its census as often as it is by default.
    pub fn with(path: &Path, options: &[&str]) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let listen = address.to_string();
        let own = ["run", "--web.listen-address", &listen];
        let arguments = [&own[..], options].concat();
        let name = format!("watched-{}-{}", process::id(), address.port());
        let path_of_lines = env::temp_dir().join(name);
        let lines = File::create(&path_of_lines)?;
        fs::remove_file(&path_of_lines)?;
        let agent = Agent::start_into(path, &arguments, lines)?;
        Ok(Self { agent, address })
    }

    /// The page of the last census; `None` before the first.
    pub fn last(&self) -> Result<Option<Value>> {
        let Ok(text) = get(self.address, "/api/v1/findings") else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_str(&text).context("no JSON")?))
    }

    /// The page of the next census, which was begun after this was called.
    pub fn next(&self) -> Result<Value> {
        // The first was there before, and the second may have begun before.
        self.after_censuses(2)
    }

    /// The page after so many more censuses were over.
    pub fn after_censuses(&self, count: usize) -> Result<Value> {
        let mut taken: Vec<String> = Vec::new();
        wait_for("censuses", CENSUS_CEILING, || {
            let Some(page) = self.last()? else {
                return Ok(None);
            };
            let at = page.get("taken_at").and_then(Value::as_str);
            let at = at.context("no taken_at")?;
            if taken.last().is_none_or(|last| last != at) {
                taken.push(at.to_owned());
            }
            Ok((taken.len() > count).then_some(page))
        })
    }
}

/// Makes room for what the agent's own web leaves in TIME_WAIT when it is asked again and again:
/// a machine with little memory has room for few hundreds, and the agent would tell so.
pub fn make_room(net: &Net) -> Result<()> {
    net.set("tcp_max_tw_buckets", "65536")
}

/// Seconds that the census of a page took, and seconds since it was over.
pub fn taken(page: &Value) -> Result<(f64, f64)> {
    let took = page.get("took_seconds").and_then(Value::as_f64);
    let at = page.get("taken_at").and_then(Value::as_str);
    let at: Timestamp = at.context("no taken_at")?.parse()?;
    let ago = Timestamp::now().duration_since(at).as_secs_f64();
    Ok((took.context("no took_seconds")?, ago))
}

/// The findings of a page in this namespace.
pub fn findings<'a>(page: &'a Value, net: &Net) -> Result<Vec<&'a Value>> {
    let inodes = net.inodes();
    let findings = page.get("findings").and_then(Value::as_array);
    let here = |it: &&Value| {
        let netns = it.get("netns").and_then(Value::as_u64);
        netns.is_some_and(|netns| inodes.contains(&netns))
    };
    let findings = findings.context("no findings")?;
    Ok(findings.iter().filter(here).collect())
}
