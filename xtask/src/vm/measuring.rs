//! A guest that measures: this program, the agent, and a kernel that allows every backend.
//! Takes the agent and this program's words in the guest, gives what it said, or why there
//! can be no guest. Its clock counts instructions on every machine, also where there is KVM.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use xtask::bench::{Guest, guest};

use super::boot::{self, boot_alive};
use super::initramfs::Contents;
use super::qemu::{self, Accelerator, Machine};
use super::report::Boot;
use crate::arch::Arch;
use crate::place;
use crate::setup::kernels::{self, Cached, Kernel};
use crate::setup::{self, Part};

const SERIES: &str = "6.12";
/// How long all of it may take.
const LIMIT: Duration = Duration::from_mins(15);
/// Where the guest finds this program.
const MEASURES: &str = "test/xtask";

/// Boots the guest.
pub(crate) fn run(agent: &Path, words: &[&str]) -> Result<Guest> {
    let (kernel, cached) = match possible() {
        Ok(found) => found,
        Err(error) => return Ok(Guest::Impossible(format!("{error:#}"))),
    };
    let folder = place::target().join("vm/bench");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let file = |name: &str| folder.join(name);
    fs::write(file("initramfs"), pack(kernel, &cached, agent, words)?)?;
    let machine = Machine {
        arch: kernel.arch,
        vmlinuz: &cached.folder.join("vmlinuz"),
        initramfs: &file("initramfs"),
        console: &file("console.log"),
        results: &file("results.jsonl"),
        accelerator: Accelerator::Counting,
        limit: LIMIT,
        memory: 3072,
    };
    let ended = boot_alive(&machine, &kernel.name())?;
    fs::remove_file(machine.initramfs)?;
    let said = boot::read(machine.results)?;
    if ended != Boot::PoweredOff || status(&said) != Some(0) {
        let console = boot::read(machine.console)?;
        let last: Vec<&str> = boot::last(&console).collect();
        let (last, folder) = (last.join("\n"), folder.display());
        bail!("the guest measured nothing ({ended:?}); its console in {folder} ends with\n{last}");
    }
    Ok(Guest::Said(said))
}

/// The kernel, if this machine has what a VM needs.
fn possible() -> Result<(&'static Kernel, Cached)> {
    let arch = Arch::host()?;
    setup::ensure(&[Part::Vm])?;
    let mut kernels = kernels::of(arch);
    let kernel = kernels.find(|it| it.series == SERIES);
    let kernel = kernel.with_context(|| format!("no {} kernel {SERIES}", arch.name()))?;
    let cached = kernel.cached()?;
    let cached = cached.with_context(|| format!("kernel {SERIES} is not in the cache"))?;
    Ok((kernel, cached))
}

fn pack(kernel: &Kernel, cached: &Cached, agent: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let program = env::current_exe().context("this program has no path")?;
    let words = words.join(" ");
    Contents {
        arch: kernel.arch,
        kernel: &cached.folder,
        modules: &["tcp_diag", "inet_diag"],
        programs: &[(guest::AGENT, agent), (MEASURES, &program)],
        host_programs: &["bpftool"],
        environment: &format!("REPORT=/dev/{}\n", qemu::report_port(kernel.arch)),
        run: &format!("/{MEASURES} {words} < /dev/null > \"$REPORT\"\n"),
        texts: &[],
    }
    .pack()
}

/// The exit status that the guest's first process reports.
fn status(said: &str) -> Option<i64> {
    let mut lines = said.lines().rev();
    lines.find_map(|line| {
        serde_json::from_str::<Value>(line)
            .ok()?
            .get("exit")?
            .as_i64()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_last_that_is_told() {
        assert_eq!(status("{\"booted\":1.2}\n{\"exit\":0}\n"), Some(0));
        assert_eq!(status("{\"exit\":0}\n{\"exit\": 1}\n"), Some(1));
        assert_eq!(status("{\"booted\":1.2}\n{\"exi"), None);
    }
}
