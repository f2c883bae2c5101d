//! Servers in Python: two that leak, and one that is only slow.

use std::thread;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Completion;
use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::demo::{get, metrics};
use xtask::leaked::{Leaked, Service};
use xtask::scenario::clock::now;
use xtask::scenario::pair::close;
use xtask::served::python::Server;
use xtask::watching::{Watching, findings};

use crate::stage::{MOMENT, Stage};

/// Clients that come and close.
const CLIENTS: usize = 5;

/// It reads to the end, and keeps every connection in a set.
pub(crate) fn asyncio(stage: &Stage) -> Result<Completion> {
    leaks(stage, Server::asyncio_forgets()?, true)
}

/// Its threads do not even read to the end.
pub(crate) fn threads(stage: &Stage) -> Result<Completion> {
    leaks(stage, Server::threads_stuck()?, false)
}

fn leaks(stage: &Stage, mut server: Server, reads_to_end: bool) -> Result<Completion> {
    let watching = Watching::start(&stage.agent, &[])?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| server.asked())
        .collect::<Result<_>>()?;
    let (since, mut sockets) = (now(), Vec::new());
    for client in clients {
        sockets.push((server.at, client.local_addr()?));
        close(client);
    }
    let mut truth = Leaked::new(since, Service::Local(server.at.port()));
    truth.sockets = sockets;
    let held = server.program.wait_said("held", CLIENTS)?;
    let fds = held.iter().map(|fd| Ok(fd.parse()?));
    let fds = fds.collect::<Result<Vec<u32>>>()?;
    truth.holders.push((server.program.pid(), fds));
    truth.not_read_to_end = if reads_to_end { 0 } else { CLIENTS };
    stage.told(&watching, &truth)?;
    server.program.end(Signal::SIGKILL)?;
    stage.quiet(&watching)?;
    Ok(Completion::Completed)
}

/// It closes when most of the threshold has passed, again and again.
pub(crate) fn honest(stage: &Stage) -> Result<Completion> {
    const SECONDS: f64 = 5.0;
    const THRESHOLD: f64 = 8.0;
    const CLIENTS: u32 = 10;
    let server = Server::closes_after("5")?;
    let watching = Watching::leaked_after(&stage.agent, "8s", &[])?;
    let mut oldest = 0.0_f64;
    let mut look = |moments: u32| -> Result<()> {
        for _ in 0..moments {
            thread::sleep(MOMENT);
            if let Some(page) = watching.last()? {
                let found = findings(&page, &stage.net)?;
                ensure!(found.is_empty(), "told of an honest server: {found:#?}");
                oldest = oldest.max(oldest_of(&watching, stage)?);
            }
        }
        Ok(())
    };
    for _ in 0..CLIENTS {
        close(server.asked()?);
        look(2)?;
    }
    look(40)?;
    ensure!(oldest > SECONDS / 2.0, "the agent saw them for {oldest} s");
    // A port has series of its own from its eighth connection on.
    let port = server.at.port();
    let text = metrics(watching.address)?;
    let series = |part: &str| {
        let name = format!("tcp_observer_close_wait_duration_seconds_{part}{{port=\"{port}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value
            .and_then(|value| value.parse::<f64>().ok())
            .with_context(|| format!("no {name}"))
    };
    let (count, sum) = (series("count")?, series("sum")?);
    ensure!((3.0..3.5).contains(&count), "{count} connections to {port}");
    ensure!(
        (count * SECONDS..count * THRESHOLD).contains(&sum),
        "{count} connections were in CLOSE_WAIT for {sum} s together"
    );
    Ok(Completion::Completed)
}

/// The age of the oldest socket in CLOSE_WAIT here that is listed.
fn oldest_of(watching: &Watching, stage: &Stage) -> Result<f64> {
    let text = get(watching.address, "/api/v1/connections?state=close_wait")?;
    let page: Value = serde_json::from_str(&text).context("no JSON")?;
    let listed = page.get("connections").and_then(Value::as_array);
    let here = listed
        .context("no connections")?
        .iter()
        .filter(|it| it.get("netns").and_then(Value::as_u64) == Some(stage.net.inode));
    let age = |it: &Value| it.pointer("/age/seconds").and_then(Value::as_f64);
    Ok(here.filter_map(age).fold(0.0, f64::max))
}
