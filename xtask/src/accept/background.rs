//! A program that runs beside this one.
//! Takes its command and a folder for its output, gives its exit status; it is
//! ended when dropped, so that no error leaves it behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::command;
use crate::stopwatch::Stopwatch;

pub(crate) struct Background {
    name: &'static str,
    child: Child,
    pub(crate) output: PathBuf,
    pub(crate) errors: PathBuf,
}

impl Background {
    /// Starts a program; what it writes goes to `NAME.out` and `NAME.err`.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let output = folder.join(format!("{name}.out"));
        let errors = folder.join(format!("{name}.err"));
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("could not create {}", path.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&output)?)
            .stderr(create(&errors)?)
            .spawn()
            .with_context(|| format!("could not start `{}`", command::line(command)))?;
        Ok(Self {
            name,
            child,
            output,
            errors,
        })
    }

    /// Waits until something is so; fails when the program ends before it, or
    /// when it takes too long.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut() -> bool,
    ) -> Result<()> {
        let watch = Stopwatch::start();
        while !is_so() {
            let said = || fs::read_to_string(&self.errors).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) before it {what}: {}",
                    self.name,
                    said().trim()
                );
            }
            if watch.elapsed() > limit {
                bail!(
                    "{} has not {what} after {watch}: {}",
                    self.name,
                    said().trim()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Asks the program to end and waits for it.
    pub(crate) fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).context("a process id that is no pid_t")?;
        signal::kill(Pid::from_raw(pid), signal)
            .with_context(|| format!("could not signal {}", self.name))?;
        let watch = Stopwatch::start();
        while watch.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not end within {watch} of {signal}", self.name)
    }
}

impl Drop for Background {
    /// Asks first: a server that is killed outright leaves its workers behind.
    fn drop(&mut self) {
        let is_running = matches!(self.child.try_wait(), Ok(None));
        if is_running && self.stop(Signal::SIGTERM, Duration::from_secs(2)).is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
