//! From where a leaked connection was opened: the finding names the function of this very
//! program that called connect() or accept(), or says why it cannot.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};
use xtask::demo::metrics;
use xtask::scenario::clock::wait_for;
use xtask::scenario::framed;
use xtask::scenario::net::Net;
use xtask::scenario::pair::{leave, read_end};

use crate::again::twice;
use crate::leak_truth::Resident;
use crate::results::Results;
use crate::session::Session;
use xtask::watching::{CENSUS_CEILING, Watching, findings as of, make_room};

/// One case a backend. The one event that tells of an accept() may be missed: the kernel runs no
/// more returns of a kretprobe than it has room for, and each accept() that waits takes a place.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let backends = session.backends.iter();
    backends
        .map(|backend| twice(session, results, "stacks", Some(*backend), opened))
        .collect()
}

/// Connections from functions of their own. The client end of one leaks, the server end of
/// another.
struct Opened {
    remote: SocketAddr,
    local: SocketAddr,
    _alive: (Vec<TcpStream>, TcpListener, TcpListener),
}

fn open() -> Result<Opened> {
    let mut alive = Vec::new();
    let pair = |listener: &TcpListener| -> Result<(TcpStream, TcpStream)> {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        framed::connect(&client, &SockAddr::from(listener.local_addr()?))?;
        let server = TcpStream::from(framed::accept(listener)?);
        Ok((client.into(), server))
    };
    let leaks_client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (client, server) = pair(&leaks_client)?;
    leave(server)?;
    read_end(&client)?;
    alive.push(client);
    let leaks_server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (client, server) = pair(&leaks_server)?;
    leave(client)?;
    read_end(&server)?;
    alive.push(server);
    Ok(Opened {
        remote: leaks_client.local_addr()?,
        local: leaks_server.local_addr()?,
        _alive: (alive, leaks_client, leaks_server),
    })
}

fn opened(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    make_room(&net)?;
    let watching = Watching::start(agent, &["--backend", backend, "--stacks"])?;
    let opened = open()?;
    let page = wait_for("both findings, with names", CENSUS_CEILING, || {
        let page = watching.next()?;
        let found = of(&page, &net)?;
        let named = found.iter().all(|it| is_named(it));
        Ok((found.len() >= 2 && named).then_some(page))
    })?;
    let findings = of(&page, &net)?;
    let find = |key: &str, value: Value| {
        let found = findings.iter().find(|it| it.get(key) == Some(&value));
        found.with_context(|| format!("no {key} {value} in {page:#}"))
    };
    let client = find("remote", opened.remote.to_string().into())?;
    names(client, "opens_by_connect").with_context(|| format!("{client:#}"))?;
    let server = find("local_port", opened.local.port().into())?;
    if accepts(&metrics(watching.address)?) {
        names(server, "opens_by_accept").with_context(|| format!("{server:#}"))?;
    } else {
        let why = server.get("why_without_stack").and_then(Value::as_str);
        ensure!(why.is_some_and(|why| why.contains("accept")), "{server:#}");
        ensure!(server["stacks"] == Value::Array(Vec::new()), "{server:#}");
    }
    Ok(())
}

/// Whether nothing is left to look up; on an emulated machine that may fail for want of time.
fn is_named(finding: &Value) -> bool {
    let why_not = finding.pointer("/stacks/0/why_not_named");
    why_not.is_none_or(Value::is_null)
}

/// Whether a probe tells who accepts.
fn accepts(metrics: &str) -> bool {
    let of_accept = "tcp_observer_probe_attached{question=\"accept\"";
    let mut lines = metrics.lines();
    lines.any(|line| line.starts_with(of_accept) && line.ends_with(" 1"))
}

/// One stack, of this process, with this function next to the one that made the system call.
fn names(finding: &Value, function: &str) -> Result<()> {
    ensure!(
        finding["without_stack"].as_u64() == Some(0),
        "without_stack"
    );
    let stacks = finding["stacks"].as_array().context("no stacks")?;
    ensure!(stacks.len() == 1, "not one stack");
    let told = |key: &str| stacks.first().and_then(|stack| stack.get(key));
    ensure!(told("count") == Some(&1.into()), "count");
    ensure!(told("pid") == Some(&process::id().into()), "pid");
    ensure!(told("why_not_named") == Some(&Value::Null), "why_not_named");
    let frames = told("frames").and_then(Value::as_array);
    let caller = frames.and_then(|frames| frames.get(1)?.as_str());
    let caller = caller.context("no second frame")?;
    let name = caller.split('+').next().unwrap_or_default();
    ensure!(name.ends_with(&format!("framed::{function}")), "{caller}");
    ensure!(caller.contains(" (/"), "no file: {caller}");
    Ok(())
}
