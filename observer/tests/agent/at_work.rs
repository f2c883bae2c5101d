//! `run` and `trace` do what they are asked, and end.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{
    cannot_run, end_a_connection, ends_within_a_second, get, line_with, ready_within_seconds,
    serving, start, wait_a_second,
};

#[test]
fn run_serves_counts_and_ends_within_a_second() {
    if cannot_run("run") {
        return;
    }
    let (mut agent, mut log) = start(&["run", "--web.listen-address=127.0.0.1:0"]);
    let address = serving(&mut log);
    line_with(&mut log, "attached");
    ready_within_seconds(address);
    end_a_connection();
    std::thread::sleep(Duration::from_secs(2));
    let metrics = get(address, "/metrics");
    let ended: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("tcp_observer_connections_ended_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!(ended >= 2.0, "{metrics}");
    let attached = r#"tcp_observer_probe_attached{question="state",twin="#;
    let of_state = metrics.lines().filter(|line| line.starts_with(attached));
    assert_eq!(of_state.filter(|line| line.ends_with(" 1")).count(), 1);

    ends_within_a_second(&mut agent, Signal::TERM);
}

#[test]
fn trace_ends_after_its_lines() {
    if cannot_run("trace --count") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let arguments = ["trace", "--json", "--count", "2", "--port", &port];
    let (mut trace, mut log) = start(&arguments);
    line_with(&mut log, "attached");
    for _ in 0..3 {
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        drop(listener.accept().unwrap());
    }
    let mut text = String::new();
    trace
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(trace.wait().unwrap().code(), Some(0));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    for line in lines {
        let ends = format!("{} {}", line["local"], line["peer"]);
        assert!(ends.contains(&format!(":{port}")), "{line}");
    }
}

#[test]
fn trace_ends_with_its_reader_and_on_a_signal() {
    if cannot_run("trace") {
        return;
    }
    let (mut trace, mut log) = start(&["trace", "--port", "1"]);
    line_with(&mut log, "attached");
    drop(trace.stdout.take());
    assert_eq!(wait_a_second(&mut trace), Some(0));

    let (mut trace, mut log) = start(&["trace", "--port", "1"]);
    line_with(&mut log, "attached");
    ends_within_a_second(&mut trace, Signal::INT);
}

#[test]
fn trace_ends_after_its_time() {
    if cannot_run("trace --duration") {
        return;
    }
    let (mut trace, mut log) = start(&["trace", "--port", "1", "--duration", "100ms"]);
    line_with(&mut log, "attached");
    assert_eq!(wait_a_second(&mut trace), Some(0));
}
