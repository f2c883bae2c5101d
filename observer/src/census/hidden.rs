//! Processes that `/proc` does not show, so that a look at all of it does not notice them.
//!
//! Takes this process's pid namespace, its mounts and its capabilities; gives a sentence for each
//! reason why there may be such processes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// The inode number of the first pid namespace (`PROC_PID_INIT_INO`; in the kernel's interface
/// as `PID_NS_INIT_INO` since 6.18).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// `CAP_SYS_PTRACE`, which sees through `hidepid`.
const CAP_SYS_PTRACE: u32 = 19;

/// Why processes may be hidden; empty where none can be.
pub(super) fn reasons() -> Vec<String> {
    let mut reasons = Vec::new();
    if inside_a_pid_namespace() {
        reasons.push(
            "processes outside of this pid namespace, nor network namespaces that only they \
             lead to; that needs the host's pid namespace (hostPID, --pid=host)"
                .to_owned(),
        );
    }
    let read = |path| fs::read(path).unwrap_or_default();
    let mounts = read("/proc/self/mountinfo");
    let status = read("/proc/self/status");
    let hides = hides_processes(&String::from_utf8_lossy(&mounts));
    if hides && !sees_all(&String::from_utf8_lossy(&status)) {
        reasons.push(
            "processes of other users: /proc is mounted with hidepid; that needs CAP_SYS_PTRACE"
                .to_owned(),
        );
    }
    reasons
}

/// Whether pids here are other than those of the host, which the probes tell.
pub(crate) fn inside_a_pid_namespace() -> bool {
    let own = fs::metadata("/proc/self/ns/pid").map(|it| it.ino());
    own.is_ok_and(|inode| inode != FIRST_PID_NAMESPACE)
}

/// Whether the mount that `/proc` shows now, the last one, hides processes of others (proc(5):
/// `hidepid`, by number or, since 5.8, by name).
fn hides_processes(mountinfo: &str) -> bool {
    let is_proc = |line: &&str| line.split(' ').nth(4) == Some("/proc");
    let Some(line) = mountinfo.lines().rfind(is_proc) else {
        return false;
    };
    let options = line.rsplit(' ').next().unwrap_or_default().split(',');
    let mut values = options.filter_map(|option| option.strip_prefix("hidepid="));
    values.any(|value| !["0", "off"].contains(&value))
}

/// Whether the process whose `/proc/PID/status` this is has `CAP_SYS_PTRACE`.
fn sees_all(status: &str) -> bool {
    let line = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
    let mask = line.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> CAP_SYS_PTRACE & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::{hides_processes, sees_all};

    #[test]
    fn the_last_mount_of_proc_tells_whether_it_hides_processes() {
        let shown = "22 27 0:21 / /proc rw,relatime - proc proc rw\n";
        let hidden = "80 27 0:51 / /proc rw - proc proc rw,gid=5,hidepid=invisible\n";
        let elsewhere = "81 27 0:52 / /mnt/proc rw - proc proc rw,hidepid=2\n";
        assert!(!hides_processes(shown));
        assert!(hides_processes(&format!("{shown}{hidden}{elsewhere}")));
        assert!(!hides_processes(&format!("{hidden}{shown}")));
        assert!(!hides_processes(
            &shown.replace("proc rw\n", "proc rw,hidepid=off\n")
        ));
        assert!(!hides_processes(""));
    }

    #[test]
    fn a_capability_is_found_among_the_effective_ones() {
        let status = |mask: &str| format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{mask}\n");
        assert!(sees_all(&status("000001ffffffffff")));
        assert!(sees_all(&status("0000000000080000")));
        assert!(!sees_all(&status("0000000000040000")));
        assert!(!sees_all(""));
    }
}
