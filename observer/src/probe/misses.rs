//! Events that the kernel did not show to a probe.
//!
//! Takes what is attached; gives counts. The kernel does not run a program that an interrupt
//! finds running on the same CPU; it counts that as `recursion_misses` of the program, which
//! `fdinfo` shows since 5.12. Kinds with a stand-in miss nothing by it.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use aya::Ebpf;
use observer_ebpf::wire::Kind;

use super::coverage::Outcome;

/// The programs whose misses are lost events.
#[derive(Debug)]
pub(super) struct Misses {
    /// Descriptors that the loaded object keeps open for as long as the ring is read.
    programs: Vec<(Kind, RawFd)>,
}

impl Misses {
    pub(super) fn new(outcomes: &[Outcome], ebpf: &Ebpf) -> Self {
        let alone = |outcome: &&Outcome| !outcome.attached.iter().any(|one| one.stands_in);
        let programs = outcomes
            .iter()
            .filter(alone)
            .flat_map(|outcome| &outcome.attached)
            .filter_map(|program| {
                let loaded = ebpf.program(program.name)?;
                let descriptor = loaded.fd().ok()?.as_fd().as_raw_fd();
                Some((program.kind, descriptor))
            })
            .collect();
        Self { programs }
    }

    /// Misses so far, indexed by `wire::Kind` number.
    pub(super) fn read(&self) -> [u64; Kind::SLOTS as usize] {
        let mut misses = [0; Kind::SLOTS as usize];
        for (kind, descriptor) in &self.programs {
            let path = format!("/proc/self/fdinfo/{descriptor}");
            let text = fs::read_to_string(path).unwrap_or_default();
            if let Some(count) = misses.get_mut(usize::from(*kind as u16)) {
                *count += recursion_misses(&text);
            }
        }
        misses
    }
}

/// The number after `recursion_misses:`; 0 on a kernel that does not count them.
fn recursion_misses(fdinfo: &str) -> u64 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::recursion_misses;

    #[test]
    fn misses_are_read_where_the_kernel_counts_them() {
        let fdinfo = "pos:\t0\nprog_type:\t26\nrecursion_misses:\t7\nverified_insns:\t9\n";
        assert_eq!(recursion_misses(fdinfo), 7);
        assert_eq!(recursion_misses("pos:\t0\nprog_type:\t26\n"), 0);
    }
}
