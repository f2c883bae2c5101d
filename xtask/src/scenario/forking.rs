//! Children of this process, and what they inherit.
//!
//! Between fork and exec a child has a reference to every socket of this process, so that a
//! `close()` here would not be the last one, and the child would be one more holder.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context as _, Result};

use super::clock::{CEILING, wait_for};

/// Held for writing while a child has not let go of what exec closes.
static FORKING: RwLock<()> = RwLock::new(());

/// The calling thread, where /proc has processes.
const THREAD: &str = "thread-self";

/// What a thread is called while a child has its name still; no program is called so.
const UNTIL_EXEC: &str = "until exec";

/// Starts a program; once this returns, it has none of this process's sockets but those that it
/// is given, and this process has none of those.
pub fn spawn(command: &mut Command) -> Result<Child> {
    spawn_alone(command).map(|(child, _)| child)
}

/// What a program prints that is started so.
pub fn output(command: &mut Command) -> Result<Output> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(spawn(piped.stderr(Stdio::piped()))?.wait_with_output()?)
}

/// The same as [`spawn`]; for as long as the guard is held, no other child is between fork and
/// exec, so that the program sees no holders of sockets but those that are meant to be.
pub fn spawn_alone(command: &mut Command) -> Result<(Child, RwLockReadGuard<'static, ()>)> {
    let forking = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    let own = comm(THREAD)?;
    rename(UNTIL_EXEC)?;
    let spawned = command.spawn();
    // The kernel lets the parent go on before it closes what exec must close, and does that
    // before it gives the process its new name, which may be the one of this thread.
    let executed = |child: &Child| {
        let pid = child.id().to_string();
        wait_for("exec", CEILING, || {
            Ok((comm(&pid)? != UNTIL_EXEC).then_some(()))
        })
    };
    let waited = spawned.as_ref().map_or(Ok(()), executed);
    rename(&own)?;
    waited?;
    let child =
        spawned.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    // The command keeps copies of what it gave, which the next child would have until its exec.
    let nothing = command.stdin(Stdio::null()).stdout(Stdio::null());
    nothing.stderr(Stdio::null());
    Ok((child, RwLockWriteGuard::downgrade(forking)))
}

/// The name of a process.
pub fn comm(pid: &str) -> Result<String> {
    let path = format!("/proc/{pid}/comm");
    let comm = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(comm.trim_end().to_owned())
}

fn rename(name: &str) -> Result<()> {
    let path = format!("/proc/{THREAD}/comm");
    fs::write(&path, name).with_context(|| format!("cannot write {path}"))
}

/// For as long as it is held, no child is between fork and exec.
pub(super) fn no_fork() -> RwLockReadGuard<'static, ()> {
    FORKING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Closes the last reference to a socket.
pub fn close<T>(socket: T) {
    let _no_fork = no_fork();
    drop(socket);
}
