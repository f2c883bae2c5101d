//! A shell that holds sockets of this process, and does with them what its script says.
//!
//! Takes sockets and a script; gives the process. Never keeps a reference to the sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clock::{CEILING, wait_for};
use super::forking::{self, comm, spawn};
use super::truth::{Closer, End};

/// A running shell. Its standard input is told things; its standard error is a socket, and
/// its standard output a second one, or else a file that says what it printed.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    control: Option<ChildStdin>,
    comm: String,
}

impl Shell {
    /// A shell with one socket, as its standard error.
    pub(crate) fn with_one(script: &str, socket: impl Into<OwnedFd>) -> Result<Self> {
        Self::start(script, Stdio::from(socket.into()), Stdio::piped())
    }

    /// A shell with two, as its standard error and its standard output.
    pub(super) fn with_two(
        script: &str,
        one: impl Into<OwnedFd>,
        other: impl Into<OwnedFd>,
    ) -> Result<Self> {
        Self::start(script, Stdio::from(one.into()), Stdio::from(other.into()))
    }

    fn start(script: &str, one: Stdio, other: Stdio) -> Result<Self> {
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).stdin(Stdio::piped());
        let mut child = spawn(command.stdout(other).stderr(one))?;
        let control = child.stdin.take();
        Ok(Self {
            comm: comm(&child.id().to_string())?,
            child,
            control,
        })
    }

    /// Its script reads a line.
    pub(crate) fn tell(&mut self) -> Result<()> {
        let control = self.control.as_mut().context("it listens no more")?;
        control.write_all(b"go\n").context("cannot tell the shell")
    }

    /// The next line that it prints.
    pub(crate) fn printed(&mut self) -> Result<String> {
        let output = self
            .child
            .stdout
            .as_mut()
            .context("it prints to a socket")?;
        let mut line = String::new();
        BufReader::with_capacity(1, output).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal}"))
    }

    /// Waits until it is another program, by exec.
    pub(super) fn becomes(&mut self, comm: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        wait_for("another exec", CEILING, || {
            Ok((forking::comm(&pid)? == comm).then_some(()))
        })?;
        comm.clone_into(&mut self.comm);
        Ok(())
    }

    /// Waits until it has exited.
    pub(crate) fn wait(&mut self) -> Result<()> {
        drop(self.control.take());
        self.wait_first()
    }

    /// The same, while a process that it made still listens.
    pub(super) fn wait_first(&mut self) -> Result<()> {
        let control = self.control.take();
        self.child.wait()?;
        self.control = control;
        Ok(())
    }

    /// It let go of this end.
    pub(super) fn end(&self, closer: Closer, end: End) -> End {
        end.closed_by(closer, self.child.id(), &self.comm)
    }

    /// A process that it made let go of this end.
    pub(super) fn child_end(&self, closer: Closer, end: End, pid: u32) -> End {
        end.closed_by(closer, pid, &self.comm)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // A scenario that failed must not leave it behind; one that has exited cannot be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
