//! The endpoint of the agent: on a socket of systemd, and under clients that mean no good.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{
    cannot_run, ends_within_a_second, get, line_with, ready_within_seconds, serving, start,
};

/// Clients at once, scrapes of each of them, and connections that end meanwhile.
const CLIENTS: usize = 100;
const SCRAPES: usize = 10;
const ENDED: usize = 200;

#[test]
fn run_serves_on_the_socket_that_systemd_passes() {
    if cannot_run("run --web.systemd-socket") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // As systemd does it: the third descriptor, and the environment says for whom.
    let script = r#"LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" run --web.systemd-socket 3<&0 </dev/null"#;
    let mut agent = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tcp-observer")])
        .stdin(OwnedFd::from(listener))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(agent.stderr.take().unwrap());
    assert_eq!(serving(&mut log), address);
    line_with(&mut log, "attached");
    ready_within_seconds(address);
    assert!(get(address, "/metrics").contains("tcp_observer_build_info"));
    ends_within_a_second(&mut agent, Signal::TERM);
}

/// Slow headers, a header of ten megabytes and a thousand scrapes, while connections end.
#[test]
fn the_agent_counts_on_whatever_its_clients_do() {
    if cannot_run("run under bad clients") {
        return;
    }
    let name = format!("tcp-observer-endpoint-{}.jsonl", std::process::id());
    let events = std::env::temp_dir().join(name);
    let file = events.to_str().unwrap();
    let listen = "--web.listen-address=127.0.0.1:0";
    let (mut agent, mut log) = start(&["run", listen, "--events-file", file]);
    let address = serving(&mut log);
    line_with(&mut log, "attached");
    ready_within_seconds(address);
    let slow: Vec<_> = (0..CLIENTS).map(|_| begins(address)).collect();
    let large = thread::spawn(move || drop(begins(address).write_all(&vec![b'x'; 10 << 20])));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| thread::spawn(move || scrape(address)))
        .collect();
    let port = end_connections();
    let served: usize = clients.into_iter().map(|it| it.join().unwrap()).sum();
    large.join().unwrap();
    assert!(served > 0);
    assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
    drop(slow);
    thread::sleep(Duration::from_secs(2));
    ends_within_a_second(&mut agent, Signal::TERM);
    let lines = std::fs::read_to_string(&events).unwrap();
    std::fs::remove_file(&events).unwrap();
    let of_port = |line: &&str| line.contains(&format!("127.0.0.1:{port}\""));
    assert_eq!(lines.lines().filter(of_port).count(), 2 * ENDED);
}

/// A client that does not come to the end of its headers.
fn begins(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
    stream
}

/// Asks again and again; gives how often it was served. Each answer is one or the other.
fn scrape(address: SocketAddr) -> usize {
    let answers = (0..SCRAPES).map(|_| get(address, "/metrics"));
    let is_served = |answer: String| {
        let served = answer.starts_with("HTTP/1.1 200");
        assert!(served || answer.starts_with("HTTP/1.1 503"), "{answer}");
        served
    };
    answers.map(is_served).filter(|served| *served).count()
}

/// Connections that both ends see, to a port of their own.
fn end_connections() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..ENDED {
        let client = TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
    address.port()
}
