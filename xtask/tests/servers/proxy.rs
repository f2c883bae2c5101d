//! nginx in front of an upstream that closes first, though it was asked to keep.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Completion;
use nix::sys::signal::Signal;
use xtask::demo::get;
use xtask::leaked::{Leaked, Service};
use xtask::scenario::clock::{CEILING, now, wait_for};
use xtask::served::nginx::Nginx;
use xtask::served::python::Server;
use xtask::watching::Watching;

use crate::stage::{MOMENT, Stage, close_wait_of_ss};

/// nginx watches what it keeps idle, and closes what its upstream closed.
pub(crate) fn honest(stage: &Stage) -> Result<Completion> {
    const REQUESTS: usize = 5;
    let mut upstream = Server::closes_first("0.5")?;
    let nginx = Nginx::proxy(&stage.folder, upstream.at)?;
    let watching = Watching::start(&stage.agent, &[])?;
    for request in 1..=REQUESTS {
        ensure!(get(nginx.at, "/")? == "hello\n", "nginx answered otherwise");
        upstream.program.wait_said("closes", request)?;
        thread::sleep(MOMENT);
    }
    wait_for("nginx to close", CEILING, || {
        Ok(close_wait_of_ss()?.is_empty().then_some(()))
    })?;
    for _ in 0..3 {
        stage.quiet(&watching)?;
    }
    Ok(Completion::Completed)
}

/// A worker that does not run closes nothing; once it runs again it does.
pub(crate) fn stopped(stage: &Stage) -> Result<Completion> {
    let mut upstream = Server::closes_first("3")?;
    let nginx = Nginx::proxy(&stage.folder, upstream.at)?;
    let watching = Watching::start(&stage.agent, &[])?;
    ensure!(get(nginx.at, "/")? == "hello\n", "nginx answered otherwise");
    nginx.signal_worker(Signal::SIGSTOP)?;
    upstream.program.wait_said("closes", 1)?;
    let since = now();
    let shown = wait_for("CLOSE_WAIT", CEILING, || {
        let shown = String::from_utf8(close_wait_of_ss()?)?;
        Ok((!shown.is_empty()).then_some(shown))
    })?;
    let mut truth = Leaked::new(since, Service::Remote(upstream.at));
    let mut held: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for line in shown.lines() {
        let mut fields = line.split_whitespace().skip(2);
        let mut end = || fields.next().context("ss shows no ends");
        truth.sockets.push((end()?.parse()?, end()?.parse()?));
        let fd = line.split_once(&format!("pid={},fd=", nginx.worker));
        let fd = fd.and_then(|(_, rest)| rest.split([')', ',']).next());
        let fd = fd.context("ss does not name the worker")?.parse()?;
        held.entry(nginx.worker).or_default().push(fd);
    }
    ensure!(truth.sockets.len() == 1, "not one: {shown}");
    truth.not_read_to_end = truth.sockets.len();
    truth.holders = held.into_iter().collect();
    stage.told(&watching, &truth)?;
    nginx.signal_worker(Signal::SIGCONT)?;
    stage.quiet(&watching)?;
    Ok(Completion::Completed)
}
