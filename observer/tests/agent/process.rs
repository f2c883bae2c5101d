//! The binary as a process: started, read, asked and ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tcp-observer"))
}

/// Whether the agent cannot run here; then one line says so.
pub(crate) fn cannot_run(what: &str) -> bool {
    let check = binary().arg("check").output().unwrap();
    let cannot = check.status.code() == Some(2);
    if cannot {
        let why = String::from_utf8_lossy(&check.stderr);
        // `eprintln!` would be captured.
        writeln!(
            std::io::stderr(),
            "SKIPPED: `{what}` at work: {}",
            why.trim()
        )
        .unwrap();
    }
    cannot
}

pub(crate) fn start(arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = binary()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    (child, log)
}

/// Reads until a line has `words`; the end of the process ends the test.
pub(crate) fn line_with(log: &mut BufReader<ChildStderr>, words: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).unwrap();
        assert!(read > 0, "{words:?} is not in:\n{seen}");
        if line.contains(words) {
            return line;
        }
        seen += &line;
    }
}

/// The address that it says it serves on.
pub(crate) fn serving(log: &mut BufReader<ChildStderr>) -> SocketAddr {
    let line = line_with(log, "serving metrics");
    let address = line.split("address=").nth(1).unwrap();
    address.split(' ').next().unwrap().parse().unwrap()
}

/// The first census comes after the probes.
pub(crate) fn ready_within_seconds(address: SocketAddr) {
    for _ in 0..100 {
        if get(address, "/-/ready").starts_with("HTTP/1.1 200") {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not ready in ten seconds");
}

pub(crate) fn ends_within_a_second(child: &mut Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
    assert_eq!(wait_a_second(child), Some(0));
}

/// The exit code, if it ends within a second.
pub(crate) fn wait_a_second(child: &mut Child) -> Option<i32> {
    for _ in 0..100 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

pub(crate) fn end_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    drop(listener.accept().unwrap());
}

pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
