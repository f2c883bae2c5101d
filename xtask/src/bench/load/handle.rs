//! The processes of the load, from outside.
//!
//! Takes what to start; gives handles that end their process when they are dropped.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit};

use super::Made;

/// Descriptors that a holder needs beside its connections.
const BESIDE: u64 = 200;

/// A process that waits to make connections.
#[derive(Debug)]
pub(in crate::bench) struct Churn(Process);

impl Churn {
    /// Starts it; it makes nothing yet, and nothing for longer than so many seconds at a time.
    pub(in crate::bench) fn new(threads: u32, seconds: u64) -> Result<Self> {
        let numbers = [("--threads", u64::from(threads)), ("--seconds", seconds)];
        let mut process = Process::start(&numbers, &[])?;
        process.hear("ready")?;
        Ok(Self(process))
    }

    /// A path to its network namespace, for as long as it lives.
    pub(in crate::bench) fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.0.child.id())
    }

    /// Lets it make so many, and waits for that. The namespace stays.
    pub(in crate::bench) fn go(&mut self, connections: u64) -> Result<Made> {
        self.0.tell(&connections.to_string())?;
        let line = self.0.line()?;
        serde_json::from_str(&line).with_context(|| format!("the load said: {line}"))
    }
}

/// Connections that stay open, in as many processes as the limit of open files asks for, each
/// with a network namespace of its own.
#[derive(Debug)]
pub(in crate::bench) struct Held {
    _processes: Vec<Process>,
}

impl Held {
    /// Opens them.
    pub(in crate::bench) fn open(connections: u64) -> Result<Self> {
        Self::start(connections, &["--hold"])
    }

    /// Opens them, and each client sends its FIN: FIN_WAIT2 there, CLOSE_WAIT at the server.
    pub(in crate::bench) fn half_closed(connections: u64) -> Result<Self> {
        Self::start(connections, &["--hold", "--half-closed"])
    }

    fn start(connections: u64, flags: &[&str]) -> Result<Self> {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        // Both ends are open here.
        let each = (most.saturating_sub(BESIDE) / 2).min(50_000);
        ensure!(each > 0, "a process may open only {most} files");
        let mut left = connections;
        let mut processes = Vec::new();
        while left > 0 {
            let share = left.min(each);
            left -= share;
            let mut process = Process::start(&[("--connections", share)], flags)?;
            // One after the other: who counts them has a processor left.
            process.hear("held")?;
            processes.push(process);
        }
        Ok(Self {
            _processes: processes,
        })
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(numbers: &[(&str, u64)], flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("bench-load").args(flags);
        for (name, value) in numbers {
            command.args([name, value.to_string().as_str()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the load")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("it has no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the load hears nothing")?;
        writeln!(input, "{line}").context("the load is gone")
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line)?;
        ensure!(read > 0, "the load ended before it was done");
        Ok(line.trim_end().to_owned())
    }

    fn hear(&mut self, word: &str) -> Result<()> {
        let line = self.line()?;
        ensure!(line == word, "the load said {line}, not {word}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
