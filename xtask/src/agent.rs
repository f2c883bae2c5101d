//! A `tcp-observer` started as a child process.
//!
//! Takes the agent's path and arguments; hands each line of its standard output to a sink,
//! and ends it as an administrator would. Never leaves it running.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use crate::scenario::clock::{now, wait_for};
use crate::scenario::forking::spawn;

/// What an agent may need to load its probes on an emulated machine under load.
const ATTACH_CEILING: Duration = Duration::from_secs(90);
const STOP_CEILING: Duration = Duration::from_mins(1);

/// One line of `--json`, as far as it identifies a connection end; the rest stays in `all`.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// Network namespace.
    pub netns: Option<u64>,
    /// `client`, `server` or `unknown`.
    pub role: String,
    /// `address:port`.
    pub local: Option<String>,
    /// `address:port`.
    pub peer: Option<String>,
    /// How it ended.
    pub ending: String,
    /// Every key.
    #[serde(skip)]
    pub all: Value,
}

impl Record {
    /// Reads one line.
    pub fn parse(line: &str) -> Result<Self> {
        let all: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let record =
            Self::deserialize(&all).with_context(|| format!("a key is missing: {line}"))?;
        Ok(Self { all, ..record })
    }
}

/// The records of a running agent.
#[derive(Clone, Debug, Default)]
pub struct Records(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    records: Vec<Record>,
    unreadable: Vec<String>,
}

impl Records {
    /// Those of one namespace so far. Fails if the agent ever printed a line that is no record.
    pub fn of(&self, netns: u64) -> Result<Vec<Record>> {
        self.look(netns, |records| records.cloned().collect())
    }

    /// How many there are of one namespace so far. Fails as [`Self::of`] does.
    pub fn count(&self, netns: u64) -> Result<usize> {
        self.look(netns, |records| records.count())
    }

    fn look<T>(
        &self,
        netns: u64,
        take: impl FnOnce(&mut dyn Iterator<Item = &Record>) -> T,
    ) -> Result<T> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = book.unreadable.first() {
            bail!("the agent printed a line that cannot be read: {error}");
        }
        let mut records = book.records.iter();
        Ok(take(
            &mut records
                .by_ref()
                .filter(|record| record.netns == Some(netns)),
        ))
    }

    fn add(&self, line: &str) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match Record::parse(line) {
            Ok(record) => book.records.push(record),
            Err(error) => book.unreadable.push(format!("{error:#}")),
        }
    }
}

/// A running agent. Dropping it kills it.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    errors: Arc<Mutex<Vec<String>>>,
}

/// How an agent ended.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// From SIGTERM to its end.
    pub took: Duration,
    /// What it said on standard error.
    pub errors: Vec<String>,
}

impl Agent {
    /// Starts `tcp-observer ARGUMENTS` and waits until it says on standard error that its
    /// probes are attached.
    pub fn start(
        path: &Path,
        arguments: &[&str],
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        let mut agent = Self::spawn(path, arguments, Stdio::piped())?;
        if let Some(out) = agent.child.stdout.take() {
            agent.readers.push(read_lines(out, on_line)?);
        }
        agent.attached(arguments)
    }

    /// The same, but what it prints goes to a file, so that nobody's reading slows it down.
    pub fn start_into(path: &Path, arguments: &[&str], file: File) -> Result<Self> {
        Self::spawn(path, arguments, Stdio::from(file))?.attached(arguments)
    }

    fn spawn(path: &Path, arguments: &[&str], out: Stdio) -> Result<Self> {
        let mut command = Command::new(path);
        let command = command.args(arguments).stdin(Stdio::null()).stdout(out);
        let mut child = spawn(command.stderr(Stdio::piped()))?;
        let errors = Arc::new(Mutex::new(Vec::new()));
        let error = child.stderr.take();
        let mut agent = Self {
            child,
            readers: Vec::new(),
            errors: Arc::clone(&errors),
        };
        if let Some(error) = error {
            let keep = move |line: &str| {
                let mut said = errors.lock().unwrap_or_else(PoisonError::into_inner);
                said.push(line.to_owned());
            };
            agent.readers.push(read_lines(error, keep)?);
        }
        Ok(agent)
    }

    fn attached(mut self, arguments: &[&str]) -> Result<Self> {
        self.wait_attached()
            .with_context(|| format!("tcp-observer {}", arguments.join(" ")))?;
        Ok(self)
    }

    /// Starts `trace --json` and collects its records.
    pub fn trace(path: &Path, arguments: &[&str]) -> Result<(Self, Records)> {
        let records = Records::default();
        let book = records.clone();
        let arguments = [&["trace", "--json"], arguments].concat();
        let agent = Self::start(path, &arguments, move |line| book.add(line))?;
        Ok((agent, records))
    }

    fn wait_attached(&mut self) -> Result<()> {
        let errors = Arc::clone(&self.errors);
        wait_for("the agent to attach", ATTACH_CEILING, || {
            let ended = self.child.try_wait()?;
            let said = errors.lock().unwrap_or_else(PoisonError::into_inner);
            if said.iter().any(|line| line.contains("attached")) {
                return Ok(Some(()));
            }
            match ended {
                Some(status) => bail!("it ended with {status}: {}", said.join("; ")),
                None => Ok(None),
            }
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to the agent"))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error.
    pub fn errors(&self) -> Vec<String> {
        self.errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends it with SIGTERM and reads what it still has to say.
    pub fn stop(mut self) -> Result<Stopped> {
        let start = now();
        self.signal(Signal::SIGTERM)?;
        let status = wait_for("the agent to end", STOP_CEILING, || {
            Ok(self.child.try_wait()?)
        })?;
        let took = start.elapsed();
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        Ok(Stopped {
            status,
            took,
            errors: self.errors(),
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_lines(
    from: impl std::io::Read + Send + 'static,
    mut on_line: impl FnMut(&str) + Send + 'static,
) -> Result<JoinHandle<()>> {
    let reader = thread::Builder::new()
        .name("agent lines".to_owned())
        .spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                on_line(&line);
            }
        })?;
    Ok(reader)
}
