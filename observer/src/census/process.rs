//! What a process is: its name, its user, its cgroup.
//!
//! Takes a pid; gives what `/proc` says, or `None` if the process is gone.

use std::fs;

use super::cgroup::{self, Workload};
use crate::event::readable;

/// What a look at other users' processes takes.
pub(super) const NEEDED: &str =
    "that needs root with CAP_SYS_PTRACE, and a sandbox may refuse it all the same";

/// Names processes that cannot be looked into.
pub(super) fn processes(pids: &[u32]) -> String {
    const MOST_NAMED: usize = 3;
    if pids.len() > MOST_NAMED {
        return format!("{} processes", pids.len());
    }
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let word = if pids.len() == 1 {
        "process"
    } else {
        "processes"
    };
    format!("{word} {}", pids.join(" and "))
}

/// A process as `/proc` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Process id in the pid namespace of the `/proc` that was read.
    pub pid: u32,
    /// The name of its first thread.
    pub comm: String,
    /// Its effective user id.
    pub uid: u32,
    /// What runs in its cgroup.
    pub workload: Workload,
}

impl Process {
    /// Looks at a process.
    pub fn look(pid: u32) -> Option<Self> {
        // A process chooses its own name, in any bytes.
        let read = |name: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).ok()?;
            Some(readable(&bytes))
        };
        let status = read("status")?;
        let field = |name: &str| {
            let mut lines = status.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let effective = field("Uid:")?.split_whitespace().nth(1)?;
        let cgroup = read("cgroup").unwrap_or_default();
        Some(Self {
            pid,
            comm: read("comm")?.trim_end().to_owned(),
            uid: effective.parse().ok()?,
            workload: Workload::of(cgroup::path(&cgroup).unwrap_or_default()),
        })
    }
}
