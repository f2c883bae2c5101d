//! A client that makes a connection for each request, until it has no port left.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Completion;
use serde_json::{Value, json};
use xtask::scenario::clock::{CEILING, wait_for};
use xtask::served::python::{Server, client_loop};
use xtask::watching::{Watching, findings};

use crate::stage::Stage;

/// The finding comes while connect() still finds a port; then it finds none.
pub(crate) fn exhausted(stage: &Stage) -> Result<Completion> {
    const PORTS: u64 = 200;
    const RANGE: &str = "20000 20199";
    let server = Server::closes_after("0")?;
    let watching = Watching::start(&stage.agent, &[])?;
    // Not before: the kernel gives a client no port that somebody listens on.
    stage.net.set("ip_local_port_range", RANGE)?;
    stage.net.set("tcp_tw_reuse", "0")?;
    let mut client = client_loop(server.at.port(), "0.1")?;
    let told = wait_for("the finding", CEILING, || {
        let Some(page) = watching.last()? else {
            return Ok(None);
        };
        let kind = Some("port_exhaustion");
        let found = findings(&page, &stage.net)?;
        let mut found = found.iter();
        let of_kind = found.find(|it| it.get("kind").and_then(Value::as_str) == kind);
        Ok(of_kind.map(|it| (*it).clone()))
    })?;
    let failed = client.said("failed");
    ensure!(failed.is_empty(), "told after {failed:?}: {told:#}");
    let number = |key: &str| told.get(key).and_then(Value::as_u64).context("a number");
    let remote = told.get("remote").and_then(Value::as_str);
    ensure!(remote == Some(&server.at.to_string()), "{told:#}");
    let (all, left) = (number("ports")?, number("left")?);
    ensure!(all == PORTS && (1..PORTS).contains(&left), "{told:#}");
    ensure!(number("time_wait")? > 0, "{told:#}");
    let comm = fs::read_to_string(format!("/proc/{}/comm", client.pid()))?;
    let clients = json!([comm.trim_end()]);
    ensure!(told.get("clients") == Some(&clients), "{told:#}");
    let holders = told.get("holders").and_then(Value::as_array);
    let holders = holders.context("no holders")?;
    let is_client = |it: &Value| it.get("pid") == Some(&json!(client.pid()));
    ensure!(holders.iter().all(is_client), "{told:#}");
    let failed = client.wait_said("failed", 1)?;
    let expected = format!("EADDRNOTAVAIL after {PORTS}");
    ensure!(failed == [expected], "the client says {failed:?}");
    Ok(Completion::Completed)
}
