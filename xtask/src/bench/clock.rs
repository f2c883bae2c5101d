//! How long processes were on a CPU, to the nanosecond.
//!
//! Takes a process; gives the time of all its threads, also of those that have ended.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// User and system time of a process.
pub(super) fn cpu_of(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?));
    let clock = clock.with_context(|| format!("process {pid} has no clock"))?;
    Ok(clock_gettime(clock)?.into())
}

/// User and system time of the children of this process that it has waited for, to 1 µs.
pub(super) fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |seconds, micro| -> Result<Duration> {
        Ok(Duration::from_secs(u64::try_from(seconds)?)
            + Duration::from_micros(u64::try_from(micro)?))
    };
    let (user, system) = (usage.user_time(), usage.system_time());
    Ok(time(user.tv_sec(), user.tv_usec())? + time(system.tv_sec(), system.tv_usec())?)
}
