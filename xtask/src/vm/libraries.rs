//! The shared libraries of the guest's programs.
//! Takes programs, gives pairs of paths: in the guest, and on this machine. A
//! foreign program gets the libraries that it was linked against.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;
use crate::command;
use crate::setup::arm64;

/// Where foreign libraries are in the guest; its loader looks there.
const FOLDER: &str = "lib";

/// The shared libraries of some programs, the loader included.
pub(super) fn of(arch: Arch, programs: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    if arch.is_host() {
        return of_host(programs);
    }
    let mut found = BTreeMap::new();
    let mut left = BTreeSet::new();
    for program in programs {
        left.extend(needed(program)?);
    }
    while let Some(name) = left.pop_first() {
        let path = arm64::library(&name)
            .with_context(|| format!("found no library {name} for {}", arch.name()))?;
        let more = needed(&path)?;
        found.insert(format!("{FOLDER}/{name}"), path);
        let is_new = |name: &String| !found.contains_key(&format!("{FOLDER}/{name}"));
        left.extend(more.into_iter().filter(is_new));
    }
    Ok(found)
}

fn of_host(programs: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for program in programs {
        // ldd fails on a program that is linked statically, which needs none.
        let Ok(text) = command::output(Command::new("ldd").arg(program)) else {
            continue;
        };
        if text.contains("not found") {
            bail!("{} lacks a shared library:\n{text}", program.display());
        }
        for path in text.lines().filter_map(place) {
            let inside = path.to_string_lossy().trim_start_matches('/').to_owned();
            found.insert(inside, path);
        }
    }
    Ok(found)
}

/// The path in a line of ldd: `libc.so.6 => /lib/libc.so.6 (0x…)`, or
/// `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn place(line: &str) -> Option<PathBuf> {
    let place = line.split("=>").last()?.split_whitespace().next()?;
    place.starts_with('/').then(|| PathBuf::from(place))
}

/// The names that a foreign program or library asks its loader for, and the
/// loader's own.
fn needed(program: &Path) -> Result<BTreeSet<String>> {
    let text = command::output(
        Command::new("aarch64-linux-gnu-readelf")
            .args(["--wide", "--dynamic", "--program-headers"])
            .arg(program),
    )?;
    Ok(text.lines().filter_map(name).collect())
}

/// The name in a line of readelf: `(NEEDED)  Shared library: [libc.so.6]`, or
/// `[Requesting program interpreter: /lib/ld-linux-aarch64.so.1]`.
fn name(line: &str) -> Option<String> {
    let (_, rest) = line
        .split_once("Shared library: [")
        .or_else(|| line.split_once("program interpreter: "))?;
    let (path, _) = rest.split_once(']')?;
    path.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_program_are_read_from_ldd() {
        assert_eq!(place("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(
            place("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(
            place("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            Some(PathBuf::from("/lib64/ld-linux-x86-64.so.2"))
        );
    }

    #[test]
    fn the_libraries_of_a_foreign_program_are_read_from_readelf() {
        let needed = " 0x0000000000000001 (NEEDED)  Shared library: [libgcc_s.so.1]";
        assert_eq!(name(needed).as_deref(), Some("libgcc_s.so.1"));
        let loader = "      [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]";
        assert_eq!(name(loader).as_deref(), Some("ld-linux-aarch64.so.1"));
        assert_eq!(
            name(" 0x000000000000000e (SONAME)  Library soname: [a]"),
            None
        );
    }
}
