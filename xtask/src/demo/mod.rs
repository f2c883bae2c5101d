//! A newcomer's first minute: connections end in every way, and the agent says how.
//!
//! Takes the agent's path; prints what happened beside what the agent said. Fails unless the
//! agent's JSON is right about every end. Never leaves an agent or a namespace behind.

mod table;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::agent::{Agent, Record};
use crate::judge::judge;
use crate::scenario::clock::{CEILING, now};
use crate::scenario::{self, Performed, Scenario};

/// What is shown: every ending that the agent must know, in the order of the table.
const SHOWN: [&str; 15] = [
    "client_closes_first",
    "half_close",
    "killed",
    "simultaneous_both",
    "unread_data",
    "linger_zero",
    "linger_zero_after_fin",
    "data_after_close_minisock",
    "data_after_shutdown_both",
    "refused",
    "connect_unanswered",
    "connect_given_up",
    "no_free_port",
    "deaf_peer",
    "close_ipv6",
];

const DEFAULT_PORT: u16 = 10793;

/// Verdicts that rest on a hold of a second come last.
const QUIET: Duration = Duration::from_millis(1500);

/// Runs the demo with this agent.
pub fn run(agent_path: &Path) -> Result<()> {
    let mut out = std::io::stdout();
    let address = free_address()?;
    let (send, lines) = mpsc::channel();
    let arguments = [
        "run",
        "--web.listen-address",
        &address.to_string(),
        "--events-file",
        "-",
    ];
    writeln!(out, "\nstarting: tcp-observer {}", arguments.join(" "))?;
    let agent = Agent::start(agent_path, &arguments, move |line| {
        drop(send.send(Record::parse(line)));
    })?;

    let scenarios = shown()?;
    writeln!(
        out,
        "making connections end in {} ways on loopback, each in a namespace of its own",
        scenarios.len()
    )?;
    let performed = perform(&scenarios)?;
    let ends = performed.iter().map(|(_, done)| done.ends.len()).sum();
    let records = collect(&lines, &performed, ends)?;

    let wrong = show_table(&mut out, &performed, &records)?;
    show_metrics(&mut out, address)?;

    let stopped = agent.stop()?;
    if !stopped.status.success() {
        bail!(
            "the agent ended with {}: {}",
            stopped.status,
            stopped.errors.join("; ")
        );
    }
    if wrong > 0 {
        bail!("{wrong} of {ends} ends were judged wrong; the lines with ✗ say how");
    }
    writeln!(
        out,
        "\nall {ends} ends recognised. The agent is stopped; `cargo xtask run` starts it again."
    )?;
    Ok(())
}

/// Prints the table; gives how many ends the agent was wrong about.
fn show_table(
    out: &mut impl std::io::Write,
    performed: &[(&'static Scenario, Performed)],
    records: &[Record],
) -> Result<usize> {
    writeln!(out, "\n{}", table::HEAD)?;
    let mut wrong = 0;
    for (scenario, done) in performed {
        writeln!(out, "{}", scenario.about)?;
        let netns = Some(done.net.inode);
        let own: Vec<Record> = records
            .iter()
            .filter(|record| record.netns == netns)
            .cloned()
            .collect();
        let (judged, extra) = judge(&done.ends, &own, &[]);
        for one in &judged {
            writeln!(out, "{}", table::row(one))?;
        }
        for record in &extra {
            writeln!(
                out,
                "  {} {}: a line too many ✗",
                record.role, record.ending
            )?;
        }
        wrong += extra.len() + judged.iter().filter(|one| !one.wrong.is_empty()).count();
    }
    Ok(wrong)
}

/// The default address if it is free, else any.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, DEFAULT_PORT))
        .or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("cannot find a free port for the agent")?;
    Ok(listener.local_addr()?)
}

fn shown() -> Result<Vec<&'static Scenario>> {
    SHOWN
        .iter()
        .map(|name| {
            scenario::all()
                .find(|scenario| scenario.name == *name)
                .with_context(|| format!("there is no scenario {name}"))
        })
        .collect()
}

fn perform(scenarios: &[&'static Scenario]) -> Result<Vec<(&'static Scenario, Performed)>> {
    thread::scope(|scope| {
        let running: Vec<_> = scenarios
            .iter()
            .map(|scenario| (*scenario, scope.spawn(|| scenario.perform())))
            .collect();
        running
            .into_iter()
            .map(|(scenario, thread)| match thread.join() {
                Ok(performed) => Ok((scenario, performed?)),
                Err(_panic) => bail!("scenario {} panicked", scenario.name),
            })
            .collect()
    })
}

/// The records of the scenarios' namespaces: all that are due, and what comes shortly after.
fn collect(
    lines: &mpsc::Receiver<Result<Record>>,
    performed: &[(&'static Scenario, Performed)],
    due: usize,
) -> Result<Vec<Record>> {
    let start = now();
    let mut records = Vec::new();
    loop {
        let wait = if records.len() < due {
            CEILING.saturating_sub(start.elapsed())
        } else {
            QUIET
        };
        let Ok(record) = lines.recv_timeout(wait) else {
            return Ok(records);
        };
        let record = record?;
        if performed
            .iter()
            .any(|(_, done)| record.netns == Some(done.net.inode))
        {
            records.push(record);
        }
    }
}

/// Some of what Prometheus would scrape.
fn show_metrics(out: &mut impl std::io::Write, address: SocketAddr) -> Result<()> {
    let text = metrics(address)?;
    writeln!(out, "\nmetrics: http://{address}/metrics, for example")?;
    for name in [
        "tcp_observer_connections_ended_total{ending=\"reset_",
        "tcp_observer_verdicts_total",
        "tcp_observer_bytes_abandoned_total",
    ] {
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && !line.ends_with(" 0"));
        for line in lines.take(4) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// The body of `/metrics`.
pub fn metrics(address: SocketAddr) -> Result<String> {
    get(address, "/metrics")
}

/// The sum of all series of a metric on the page.
pub fn sum(text: &str, name: &str) -> Result<u64> {
    let mut total = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        if !rest.starts_with(['{', ' ']) {
            continue;
        }
        let value = rest.rsplit(' ').next().unwrap_or_default();
        let value: u64 = value
            .parse()
            .with_context(|| format!("odd metric: {line}"))?;
        total = Some(total.unwrap_or(0) + value);
    }
    total.with_context(|| format!("the agent has no metric {name}"))
}

/// The body of the answer to a request.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(CEILING))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {path}"))?;
    if !text.starts_with("HTTP/1.1 200") {
        bail!(
            "{path} answered: {}",
            text.lines().next().unwrap_or_default()
        );
    }
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.with_context(|| format!("{path} has no body"))
}
