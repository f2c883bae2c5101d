//! The binary, at work on this machine's kernel: it starts, serves, prints and ends. Where
//! the kernel or the privileges do not allow it, one line says so. What it says of each
//! ending is the kernel tests' matter.

#[cfg(test)]
mod at_work {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::process::{Child, ChildStderr, Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process};

    #[test]
    fn run_serves_counts_and_ends_within_a_second() {
        if cannot_run("run") {
            return;
        }
        let (mut agent, mut log) = start(&["run", "--web.listen-address=127.0.0.1:0"]);
        let serving = line_with(&mut log, "serving metrics");
        let address = serving.split("address=").nth(1).unwrap();
        let address: SocketAddr = address.split(' ').next().unwrap().parse().unwrap();
        line_with(&mut log, "attached");
        assert!(get(address, "/-/ready").starts_with("HTTP/1.1 200"));
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

    fn binary() -> Command {
        Command::new(env!("CARGO_BIN_EXE_tcp-observer"))
    }

    /// Whether the agent cannot run here; then one line says so.
    fn cannot_run(what: &str) -> bool {
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

    fn start(arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
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
    fn line_with(log: &mut BufReader<ChildStderr>, words: &str) -> String {
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

    fn ends_within_a_second(child: &mut Child, signal: Signal) {
        kill_process(Pid::from_child(child), signal).unwrap();
        assert_eq!(wait_a_second(child), Some(0));
    }

    /// The exit code, if it ends within a second.
    fn wait_a_second(child: &mut Child) -> Option<i32> {
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

    fn end_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        drop(listener.accept().unwrap());
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
