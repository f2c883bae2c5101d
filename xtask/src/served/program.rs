//! A program that runs beside this one and says on standard output what it does.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scenario::clock::wait_for;
use crate::scenario::forking::spawn;

/// An interpreter starts slowly on a busy machine.
const CEILING: Duration = Duration::from_mins(2);

/// The program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it in the calling thread's namespaces. Its standard input ends with this process.
    pub fn start(command: &mut Command) -> Result<Self> {
        let quiet = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(quiet)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let (keep, output) = (Arc::clone(&said), child.stdout.take());
        let program = Self { child, said };
        let output = output.context("it has no standard output")?;
        thread::Builder::new()
            .name("program lines".to_owned())
            .spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut said = keep.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push(line);
                }
            })?;
        Ok(program)
    }

    /// A process that does nothing, so that the namespace of the calling thread is one that a
    /// process leads to.
    pub fn resident() -> Result<Self> {
        Self::start(Command::new("sleep").arg("3600"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stood after `word` in each line that began with it, so far.
    pub fn said(&self, word: &str) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = said.iter().filter_map(|line| line.strip_prefix(word));
        rest.map(|rest| rest.trim().to_owned()).collect()
    }

    /// Waits until it has said so many lines that begin with `word`; fails if it ends before.
    pub fn wait_said(&mut self, word: &str, count: usize) -> Result<Vec<String>> {
        wait_for(&format!("a line `{word}`"), CEILING, || {
            let said = self.said(word);
            if said.len() >= count {
                return Ok(Some(said));
            }
            match self.child.try_wait()? {
                Some(status) => bail!("the program ended with {status} before it said {word}"),
                None => Ok(None),
            }
        })
    }

    /// Asks it to end, and waits for that.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), signal)?;
        wait_for("the program to end", CEILING, || {
            Ok(self.child.try_wait()?)
        })?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
