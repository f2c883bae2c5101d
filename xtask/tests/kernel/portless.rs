//! The agent's findings about connects that find no port, made on purpose: told with who
//! connects where, and counted; and about ports that run out, before they have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::demo::metrics;
use xtask::scenario::net::Net;
use xtask::scenario::pair::{Pair, close, read_end};

use crate::again::twice;
use crate::apart::{Apart, number, value};
use crate::cases::of_best;
use crate::results::Results;
use crate::session::Session;

/// The name of the client that runs out of ports.
const CLIENT: &str = "port-eater";

/// Connects without a port for each backend, and what the census counts once.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let case = |name, run| of_best(session, results, name, run);
    let each = |backend: &&'static str| {
        let name = "ports_held_ipv6";
        twice(session, results, name, Some(*backend), ports_held_ipv6)
    };
    let mut cases: Vec<Trial> = session.backends.iter().map(each).collect();
    cases.extend([
        case("ports_held", ports_held),
        case("ports_bound", ports_bound),
        case("ports_exhausted", exhausted),
        case("ports_reused", ports_reused),
    ]);
    cases
}

/// A connect that finds no port.
fn fail(to: SocketAddr) -> Result<()> {
    match TcpStream::connect(to) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
        other => bail!("expected EADDRNOTAVAIL, got {other:?}"),
    }
}

fn ports_held(agent: &Path, backend: &str) -> Result<()> {
    held(agent, backend, Ipv4Addr::LOCALHOST.into(), "port-holder")
}

fn ports_held_ipv6(agent: &Path, backend: &str) -> Result<()> {
    // Every agent counts what all cases do.
    let name = format!("holder-{backend:.6}");
    held(agent, backend, Ipv6Addr::LOCALHOST.into(), &name)
}

/// A client holds every port open and asks for more.
fn held(agent: &Path, backend: &str, server: IpAddr, name: &str) -> Result<()> {
    let range = ("ip_local_port_range", "40000 40019");
    let apart = Apart::start(agent, backend, range)?;
    let at = SocketAddr::new(server, 8447);
    let _held = apart.inside(name, || {
        let listener = TcpListener::bind(at)?;
        let held = (0..20).map(|_| Pair::through(&listener, at));
        let held = held.collect::<Result<Vec<_>>>()?;
        (0..3).try_for_each(|_| fail(at))?;
        Ok((listener, held))
    })?;
    let finding = failing(&apart, name)?;
    is(&finding, "remote", &at.to_string())?;
    is(&finding, "source", &server.to_string())?;
    ensure!(number(&finding, "/open")? == 20, "{finding:#}");
    let holder = number(&finding, "/holders/0/pid")?;
    ensure!(holder == u64::from(std::process::id()), "{finding:#}");
    ensure!(number(&finding, "/left")? == 0, "{finding:#}");
    Ok(())
}

/// Other sockets are bound to every port, and no connection has one.
fn ports_bound(agent: &Path, backend: &str) -> Result<()> {
    const NAME: &str = "port-seeker";
    let apart = Apart::start(agent, backend, ("ip_local_port_range", "40000 40003"))?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 8446));
    let _bound = apart.inside(NAME, || {
        let bound = (40_000..=40_003).map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        let bound = bound.collect::<std::io::Result<Vec<_>>>()?;
        (0..3).try_for_each(|_| fail(at))?;
        Ok(bound)
    })?;
    let finding = failing(&apart, NAME)?;
    is(&finding, "remote", &at.to_string())?;
    is(&finding, "source", "0.0.0.0")?;
    ensure!(number(&finding, "/left")? == 4, "{finding:#}");
    let remedy = finding.get("remedy").and_then(Value::as_str);
    let remedy = remedy.context("no remedy")?;
    ensure!(remedy.contains("bind()"), "{remedy}");
    Ok(())
}

/// TIME_WAIT has every port that is not reserved: then no connect finds one, until it may take
/// those.
fn ports_reused(agent: &Path, backend: &str) -> Result<()> {
    const NAME: &str = "port-taker";
    let apart = Apart::start(agent, backend, ("ip_local_port_range", "40000 40019"))?;
    let at = apart.at()?;
    let set = |name: &str, value: &str| apart.inside(NAME, || apart.net.set(name, value));
    set("ip_local_reserved_ports", "40000-40003")?;
    set("tcp_tw_reuse", "0")?;
    let one = || one_closed_by(NAME, &apart, at);
    (0..16).try_for_each(|_| one())?;
    let all_fail = || (0..3).try_for_each(|_| fail(at));
    apart.inside(NAME, || all_fail().with_context(|| minisocks(&apart.net)))?;
    let finding = failing(&apart, NAME)?;
    let numbers = ["/ports", "/time_wait", "/left"].map(|it| number(&finding, it).ok());
    ensure!(numbers == [Some(16), Some(16), Some(0)], "{finding:#}");
    set("tcp_tw_reuse", "1")?;
    // A namespace's own knob; the agent reads it at each census.
    apart.wait_told("port_exhaustion", |it| it["left"].as_u64() == Some(16))?;
    (0..3).try_for_each(|_| one())
}

/// What became of those in TIME_WAIT.
fn minisocks(net: &Net) -> String {
    let there = net.connections();
    let counters = net.counters().map(|mut all| {
        all.retain(|name, _| name.contains("TW") || name.contains("TimeWait"));
        all
    });
    format!("{there:?} are there; of all: {counters:?}")
}

/// One that its client closed first.
fn one_closed_by(name: &str, apart: &Apart, at: SocketAddr) -> Result<()> {
    apart.inside(name, || client_closes_first(&apart.listener, at))
}

fn client_closes_first(listener: &TcpListener, at: SocketAddr) -> Result<()> {
    let pair = Pair::through(listener, at)?;
    close(pair.client);
    read_end(&pair.server)?;
    close(pair.server);
    Ok(())
}

/// The finding about three connects of this thread that found no port.
fn failing(apart: &Apart, name: &str) -> Result<Value> {
    let finding = apart.wait_told("port_exhaustion", |it| {
        it["failed_connects"].as_u64() == Some(3)
    })?;
    most_often(&finding, name)?;
    let text = metrics(apart.watching.address)?;
    let series = format!("connects_without_port_total{{comm=\"{name}\"}}");
    let counted = value(&text, &series)?;
    ensure!((3.0..4.0).contains(&counted), "{series} is {counted}");
    Ok(finding)
}

fn is(finding: &Value, key: &str, expected: &str) -> Result<()> {
    let text = finding.get(key).and_then(Value::as_str);
    ensure!(text == Some(expected), "{key} in {finding:#}");
    Ok(())
}

/// A client that closes first takes one of 200 ports after another and gives none back within a
/// minute.
fn exhausted(agent: &Path, backend: &str) -> Result<()> {
    const PORTS: usize = 200;
    let apart = Apart::start(agent, backend, ("ip_local_port_range", "40000 40199"))?;
    apart.inside(CLIENT, || apart.net.set("tcp_tw_reuse", "0"))?;
    let at = apart.at()?;
    let mut told = None;
    let mut made = 0;
    while told.is_none() && made < PORTS {
        one_closed_by(CLIENT, &apart, at).with_context(|| format!("after {made}"))?;
        made += 1;
        // A census of a slow machine may rest for ten seconds.
        let pace = if made < PORTS / 2 { 100 } else { 250 };
        thread::sleep(Duration::from_millis(pace));
        let page = apart.watching.last()?.context("there was a census")?;
        told = apart.told_on(&page, "port_exhaustion")?;
    }
    let told = told.with_context(|| format!("nothing was told before {made} were made"))?;
    is(&told, "remote", &at.to_string())?;
    let (all, left) = (number(&told, "/ports")?, number(&told, "/left")?);
    let used = usize::try_from(all - left)?;
    ensure!(all == 200 && left > 0, "ports left of {told:#}");
    ensure!(used <= made && used >= PORTS / 2, "{made} made: {told:#}");
    ensure!(number(&told, "/time_wait")? > 0, "TIME_WAIT of {told:#}");
    most_often(&told, CLIENT)
}

/// The finding names first who did most.
fn most_often(finding: &Value, name: &str) -> Result<()> {
    let first = finding.pointer("/clients/0").and_then(Value::as_str);
    ensure!(first == Some(name), "clients of {finding:#}");
    Ok(())
}
