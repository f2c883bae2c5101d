//! A tracing tool of others, as a user would run it: its lines go to a file.
//!
//! Takes its command; gives it attached, and then what it told and lost.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::bpftool;
use crate::bench::clock::cpu_of;
use crate::scenario::clock::{now, wait_for};

const ATTACHES: Duration = Duration::from_mins(1);
const ENDS: Duration = Duration::from_mins(1);
/// Others may follow the first program that is attached.
const SETTLES: Duration = Duration::from_millis(500);
/// A tool that used less than this of a CPU since the last look has no more to read.
const IDLE: Duration = Duration::from_millis(5);

/// How to start it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) program: PathBuf,
    pub(super) arguments: &'static [&'static str],
}

/// The tool, attached. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Tool {
    child: Child,
    out: File,
    errors: File,
}

/// What a tool wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Lines on standard output.
    pub(super) lines: u64,
    /// Events that it says it lost.
    pub(super) lost: u64,
}

impl Tool {
    /// Starts it and waits until the kernel knows a program of it that is attached.
    pub(super) fn start(line: &Line, bpftool: &Path) -> Result<Self> {
        let (out, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new(&line.program);
        command.args(line.arguments).stdin(Stdio::null());
        command.stdout(out.try_clone()?).stderr(errors.try_clone()?);
        let name = line.program.display();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut tool = Self { child, out, errors };
        wait_for(&format!("{name} to attach"), ATTACHES, || {
            if let Some(status) = tool.child.try_wait()? {
                let errors = read(&mut tool.errors)?.join("; ");
                bail!("{name} ended with {status}: {errors}");
            }
            Ok(bpftool::has_attached(bpftool, tool.child.id())?.then_some(()))
        })?;
        thread::sleep(SETTLES);
        Ok(tool)
    }

    /// Time on a CPU so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu_of(self.child.id())
    }

    /// Waits until it rests; gives its time on a CPU.
    pub(super) fn caught_up(&self) -> Result<Duration> {
        let start = now();
        let mut last = self.cpu()?;
        loop {
            thread::sleep(SETTLES);
            let cpu = self.cpu()?;
            if cpu.saturating_sub(last) < IDLE || start.elapsed() > ENDS {
                return Ok(cpu);
            }
            last = cpu;
        }
    }

    /// Ends it as Ctrl-C does, and reads what it wrote.
    pub(super) fn stop(mut self) -> Result<Told> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGINT,
        )?;
        wait_for("the tool to end", ENDS, || Ok(self.child.try_wait()?))?;
        let mut told = Told::default();
        // bpftrace tells its losses among its lines.
        for file in [&mut self.errors, &mut self.out] {
            file.rewind()?;
            told.lines = 0;
            for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
                told.lines += 1;
                told.lost += lost(&String::from_utf8_lossy(&line?));
            }
        }
        Ok(told)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(file: &mut File) -> Result<Vec<String>> {
    file.rewind()?;
    Ok(BufReader::new(file).lines().collect::<Result<_, _>>()?)
}

/// `lost 12 events on CPU #0!` of libbpf-tools, `Lost 12 events` of bpftrace.
fn lost(line: &str) -> u64 {
    let rest = line.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let rest = ["Lost ", "lost "]
        .iter()
        .find_map(|word| rest.strip_prefix(word));
    let mut words = rest.into_iter().flat_map(|rest| rest.split(' '));
    let count = words.next().and_then(|word| word.parse().ok());
    let of_events = words.next().is_some_and(|word| word.starts_with("event"));
    count.filter(|_| of_events).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_read_from_the_words_of_each_tool() {
        assert_eq!(lost("lost 12 events on CPU #0!"), 12);
        assert_eq!(lost("Lost 3 events"), 3);
        assert_eq!(lost("lost+found 9 events"), 0);
        assert_eq!(lost("1234 lost 5 things"), 0);
        assert_eq!(lost("17 curl 127.0.0.1 5000"), 0);
    }
}
