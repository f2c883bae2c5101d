//! Which BPF programs a process holds, and whether the kernel still has them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::scenario::clock::wait_for;

/// Ids of the programs that a process holds by a program or a link.
pub(crate) fn programs_of(pid: u32) -> Result<BTreeSet<u32>> {
    let mut programs = BTreeSet::new();
    let folder = format!("/proc/{pid}/fdinfo");
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        // A file that was closed meanwhile holds nothing.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let ids = text
            .lines()
            .filter_map(|line| line.strip_prefix("prog_id:"));
        programs.extend(ids.filter_map(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(programs)
}

/// Waits until the kernel has none of these programs; it frees them a little later.
pub(crate) fn wait_gone(programs: &BTreeSet<u32>) -> Result<()> {
    wait_for(
        "the kernel to free the agent's programs",
        Duration::from_secs(20),
        || {
            let mut left = false;
            for program in aya::programs::loaded_programs() {
                // One that is freed while it is looked at ends the list: it is asked for again.
                left |= program.map_or(true, |program| programs.contains(&program.id()));
            }
            Ok((!left).then_some(()))
        },
    )
}
