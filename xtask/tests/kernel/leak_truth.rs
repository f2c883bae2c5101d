//! One leak as the agent tells it, against what is true of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::leaked::{Leaked, Service};
use xtask::scenario::clock::now;
use xtask::scenario::forking::{spawn, spawn_alone};
use xtask::scenario::truth::canonical;
use xtask::watching::taken;

/// The age that must be told.
#[derive(Debug)]
pub(crate) struct Expected {
    /// Whether nobody saw the FIN; `None`: nobody can say.
    pub(crate) at_least: Option<bool>,
    /// Seconds.
    pub(crate) range: RangeInclusive<f64>,
}

impl Expected {
    /// The age at the census of this page, to so many seconds.
    pub(crate) fn at(
        page: &Value,
        truth: &Leaked,
        slack: f64,
        at_least: Option<bool>,
    ) -> Result<Self> {
        Ok(Self {
            at_least,
            range: ages(page, truth.since, truth.until, slack)?,
        })
    }
}

/// Seconds that something may have lasted at the census of this page which began between these
/// two moments.
pub(crate) fn ages(
    page: &Value,
    since: Instant,
    until: Instant,
    slack: f64,
) -> Result<RangeInclusive<f64>> {
    // Wall time is set a little while it runs.
    const DRIFT: f64 = 0.5;
    let before = now();
    let (took, ago) = taken(page)?;
    let after = now();
    let seconds = |from: Instant, to: Instant| (to - from).as_secs_f64() - ago;
    let least = seconds(until, before) - took - slack;
    Ok(least..=seconds(since, after) + DRIFT)
}

/// Whether a leak is of this service.
pub(crate) fn is_of(leak: &Value, service: Service) -> bool {
    let text = |key: &str| leak.get(key).and_then(Value::as_str);
    let port = leak.get("local_port").and_then(Value::as_u64);
    match service {
        Service::Local(at) => port == Some(u64::from(at)) && text("remote").is_none(),
        Service::Remote(at) => text("remote") == Some(&at.to_string()) && port.is_none(),
    }
}

pub(crate) fn agrees(leak: &Value, truth: &Leaked, expected: &Expected) -> Result<()> {
    let number = |key: &str| leak[key].as_u64().with_context(|| format!("no {key}"));
    ensure!(
        usize::try_from(number("count")?)? == truth.sockets.len(),
        "count"
    );
    ensure!(number("unread_bytes")? == truth.unread, "unread_bytes");
    let not_read = usize::try_from(number("not_read_to_end")?)?;
    ensure!(not_read == truth.not_read_to_end, "not_read_to_end");
    ensure!(
        leak["accepted"].as_bool() == Some(truth.accepted),
        "accepted"
    );
    let oldest = |key: &str| leak.pointer(&format!("/oldest/{key}"));
    let age = oldest("seconds")
        .and_then(Value::as_f64)
        .context("no age")?;
    let at_least = oldest("at_least").and_then(Value::as_bool);
    ensure!(at_least.is_some(), "at_least");
    let wrong = expected.at_least.is_some() && at_least != expected.at_least;
    ensure!(!wrong, "at_least");
    ensure!(
        expected.range.contains(&age),
        "age {age} not in {:?}",
        expected.range
    );
    ensure!(is_of(leak, truth.service), "service");
    ensure!(
        leak["container"].as_str() == truth.container.as_deref(),
        "container"
    );
    if truth.unit.is_some() {
        ensure!(leak["unit"].as_str() == truth.unit.as_deref(), "unit");
    }
    let listed = leak["sockets"].as_array().context("no sockets")?;
    ensure!(
        listed.len() == truth.sockets.len().min(100),
        "sockets listed"
    );
    for socket in listed {
        let at = |key: &str| socket[key].as_str()?.parse().ok();
        let ends: Option<(SocketAddr, SocketAddr)> = at("local").zip(at("peer"));
        ensure!(
            ends.is_some_and(|ends| truth.sockets.contains(&ends)),
            "{socket}"
        );
    }
    held(leak, truth)
}

/// All holders and no other, each with its descriptors.
fn held(leak: &Value, truth: &Leaked) -> Result<()> {
    let holders = leak["holders"].as_array().context("no holders")?;
    let mut found = BTreeSet::new();
    for holder in holders {
        let pid = holder["pid"].as_u64().context("no pid")?;
        let fds = holder["fds"].as_array().context("no fds")?;
        let fds = fds.iter().map(|fd| fd.as_u64().context("no fd"));
        let count = holder["fd_count"].as_u64().context("no fd_count")?;
        found.insert((pid, fds.collect::<Result<Vec<_>>>()?, count));
    }
    let truth = truth.holders.iter().map(|(pid, fds)| {
        let mut all: Vec<u64> = fds.iter().map(|fd| u64::from(*fd)).collect();
        all.sort_unstable();
        let count = all.len() as u64;
        all.truncate(64);
        (u64::from(*pid), all, count)
    });
    let truth: BTreeSet<_> = truth.collect();
    ensure!(found == truth, "holders {found:?}, not {truth:?}");
    Ok(())
}

/// A process in the namespace of the calling thread: what holds only a thread is not found.
pub(crate) struct Resident(Child);

impl Resident {
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new("sleep");
        let quiet = command
            .arg("600")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Ok(Self(spawn(quiet)?))
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a program prints while no child of this process holds more than it should.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let (child, _alone) = spawn_alone(quiet)?;
    Ok(child.wait_with_output()?)
}

/// Whether `ss -tanpH state close-wait` shows the same sockets, and the holders that are true.
pub(crate) fn shows_the_same(ss: &str, ours: &BTreeSet<String>, made: &[&Leaked]) -> Result<()> {
    let end = |text: &str| Some(canonical(text.parse().ok()?));
    let ends = |line: &str| {
        let mut fields = line.split_whitespace().skip(2).map(end);
        let (local, peer) = (fields.next()??, fields.next()??);
        Some(format!("{local} {peer}"))
    };
    let theirs: BTreeSet<String> = ss.lines().filter_map(ends).collect();
    ensure!(*ours == theirs, "ours {ours:?}, ss {theirs:?}");
    for (pid, fds) in made
        .iter()
        .filter(|it| it.accepted)
        .flat_map(|it| &it.holders)
    {
        for fd in fds {
            let held = format!("pid={pid},fd={fd}");
            ensure!(ss.contains(&held), "ss does not show {held}: {ss}");
        }
    }
    Ok(())
}
