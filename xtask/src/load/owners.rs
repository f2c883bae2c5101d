//! 50,000 connections within a minute, each of a process and to a destination of its own name.
//!
//! Takes the agent's path; holds the number of its series against its own bound, and its sums
//! against each other. Needs root.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::prctl;
use serde_json::Value;

use super::measure::{Checks, Reading};
use super::{HIDDEN, OTHERS, trace};
use crate::demo::{metrics, sum};
use crate::scenario::clock::{now, wait_for};
use crate::scenario::net::Net;
use crate::scenario::pair::{Pair, close, read_end};
use crate::watching::Watching;

/// Connections, owners and destinations.
const OWNERS: u32 = 50_000;
const TIME: Duration = Duration::from_mins(1);
/// Between two looks at the metrics meanwhile.
const LOOK: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(10);
/// The series that there may be by default.
const SERIES: u64 = 1000;

/// Runs it with this agent.
pub fn run(agent_path: &Path) -> Result<()> {
    let mut checks = Checks::default();
    let watching = Watching::start(agent_path, &[])?;
    let (send_netns, netns) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    // It is disconnected once the work is done.
    let (working, done) = mpsc::channel::<()>();
    let load = thread::Builder::new().name("owners".to_owned());
    let load = load.spawn(move || -> Result<Net> {
        let net = Net::enter_plain()?;
        send_netns.send(net.inode)?;
        may_go.recv()?;
        let made = connect_all();
        drop(working);
        made.map(|()| net)
    })?;
    let (tracer, lines) = trace(agent_path, netns.recv()?)?;
    let before = Reading::of(watching.address)?;
    let start = now();
    go.send(())?;
    let mut most = 0;
    while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        most = most.max(series(&metrics(watching.address)?));
    }
    let took = start.elapsed();
    let net = load
        .join()
        .map_err(|_panic| anyhow!("the load panicked"))??;
    let ends = 2 * u64::from(OWNERS);
    // That it is late is what a row says.
    drop(wait_for("the last ends", LAST, || {
        let ended = Reading::of(watching.address)?.ended;
        Ok((ended - before.ended >= ends).then_some(()))
    }));
    checks.at_most("seconds that it took", took.as_secs(), TIME.as_secs())?;
    let after = Reading::of(watching.address)?;
    let grown = after.ended - before.ended;
    let limit = format!("{ends} and {OTHERS} of others");
    let holds = (ends..=ends + OTHERS).contains(&grown);
    checks.row("growth of connections_ended_total", grown, &limit, holds)?;
    checks.exactly("events lost", after.lost - before.lost, 0)?;
    bounded(&watching, most, &mut checks)?;
    // The last ends are final for one agent before they are for the other, which may be in the
    // middle of a line.
    drop(wait_for("the last lines", LAST, || {
        let all = names(&lines).is_ok_and(|names| names >= u64::from(OWNERS));
        Ok(all.then_some(()))
    }));
    tracer.stop()?;
    let names = names(&lines)?;
    let least = u64::from(OWNERS) - HIDDEN;
    let holds = names >= least;
    checks.row(
        "owners that the lines name",
        names,
        &format!("at least {least}"),
        holds,
    )?;
    drop(net);
    watching.agent.stop()?;
    checks.conclude()
}

/// One after the other, by this thread under another name each time.
fn connect_all() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 0));
    for number in 0..OWNERS {
        prctl::set_name(&CString::new(format!("owner-{number}"))?)?;
        let at = SocketAddr::from((Ipv4Addr::from(first + number), port));
        let pair = Pair::through(&listener, at)?;
        close(pair.client);
        read_end(&pair.server)?;
        close(pair.server);
    }
    Ok(())
}

/// The page is within its bound, says so itself, and every sum over processes is whole.
fn bounded(watching: &Watching, most: u64, checks: &mut Checks) -> Result<()> {
    let mut page = metrics(watching.address)?;
    // What the rest of the host does may fall between two metrics of one page.
    drop(wait_for("a page whose sums agree", LAST, || {
        page = metrics(watching.address)?;
        let [ended, owners, initiated] = sums(&page)?;
        Ok((ended == owners && ended == initiated).then_some(()))
    }));
    let [ended, owners, initiated] = sums(&page)?;
    checks.exactly("ends by process", owners, ended)?;
    checks.exactly("ends by initiator", initiated, ended)?;
    let limit = sum(&page, "tcp_observer_series_limit")?;
    checks.at_most("tcp_observer_series_limit", limit, SERIES)?;
    checks.at_most("most series on a page", most.max(series(&page)), limit)?;
    checks.exactly(
        "tcp_observer_series",
        sum(&page, "tcp_observer_series")?,
        series(&page),
    )
}

fn sums(page: &str) -> Result<[u64; 3]> {
    Ok([
        sum(page, "tcp_observer_connections_ended_total")?,
        sum(page, "tcp_observer_owner_connections_ended_total")?,
        sum(page, "tcp_observer_initiated_total")?,
    ])
}

/// Series on a page.
fn series(page: &str) -> u64 {
    let series = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    series.count() as u64
}

/// Different processes that opened a connection.
fn names(lines: &File) -> Result<u64> {
    // With a place of its own to read at; the agent may still write.
    let lines = File::open(format!("/proc/self/fd/{}", lines.as_raw_fd()))?;
    let mut names = HashSet::new();
    for line in BufReader::with_capacity(1 << 20, lines).lines() {
        let line: Value = serde_json::from_str(&line?).context("not a line of the agent")?;
        let comm = line.pointer("/opened_by/comm").and_then(Value::as_str);
        names.extend(
            comm.filter(|comm| comm.starts_with("owner-"))
                .map(str::to_owned),
        );
    }
    Ok(names.len() as u64)
}
