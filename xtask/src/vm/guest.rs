//! What a test VM consists of: its initramfs.
//! Takes the programs, the kernel's folder and the tests' arguments, gives the
//! archive's bytes; writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::modules;
use crate::command;

/// Where the guest finds things.
const AGENT: &str = "usr/bin/tcp-observer";
const TESTS: &str = "test/kernel";

/// What one guest runs.
pub(crate) struct Guest<'a> {
    pub(crate) agent: &'a Path,
    pub(crate) tests: &'a Path,
    pub(crate) backends: &'a str,
    pub(crate) seed: u64,
    /// Arguments of the kernel tests: filters of libtest.
    pub(crate) arguments: &'a [String],
}

impl Guest<'_> {
    /// The initramfs for one kernel.
    pub(crate) fn pack(&self, kernel: &Path) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        let busybox = command::find("busybox").context("found no busybox")?;
        archive.file("bin/busybox", 0o755, &read(&busybox)?);
        archive.file("init", 0o755, include_bytes!("init.sh"));
        archive.file(AGENT, 0o755, &read(self.agent)?);
        archive.file(TESTS, 0o755, &read(self.tests)?);
        archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\n");
        archive.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
        archive.link("var/run", "/run");
        archive.file("test/environment", 0o644, self.environment().as_bytes());
        archive.file("test/arguments", 0o644, self.lines()?.as_bytes());
        let mut programs = vec![self.agent.to_owned(), self.tests.to_owned()];
        // busybox has no tc and no `ss -K`; scenarios may use the real ones.
        for name in ["ip", "tc", "ss", "nft"] {
            if let Some(path) = command::find(name) {
                archive.file(&format!("usr/sbin/{name}"), 0o755, &read(&path)?);
                programs.push(path);
            }
        }
        for library in libraries(&programs)? {
            let inside = library.to_string_lossy();
            archive.file(inside.trim_start_matches('/'), 0o755, &read(&library)?);
        }
        add_modules(&mut archive, kernel, &busybox)?;
        Ok(archive.finish())
    }

    fn environment(&self) -> String {
        format!(
            "export KERNEL_TEST_IN_VM=1 TCP_OBSERVER_BIN=/{AGENT} KERNEL_TEST_SEED={}\n\
             export KERNEL_TEST_BACKENDS={} RUST_BACKTRACE=1\n",
            self.seed, self.backends
        )
    }

    /// One argument a line.
    fn lines(&self) -> Result<String> {
        let mut text = String::new();
        for argument in self.arguments {
            if argument.contains('\n') {
                bail!("an argument of the kernel tests holds a line break: {argument:?}");
            }
            text.push_str(argument);
            text.push('\n');
        }
        Ok(text)
    }
}

/// The shared libraries of some programs, the loader included.
fn libraries(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        // ldd fails on a program that is linked statically, which needs none.
        let Ok(text) = command::output(Command::new("ldd").arg(program)) else {
            continue;
        };
        if text.contains("not found") {
            bail!("{} lacks a shared library:\n{text}", program.display());
        }
        libraries.extend(text.lines().filter_map(library));
    }
    Ok(libraries)
}

/// The path in a line of ldd: `libc.so.6 => /lib/libc.so.6 (0x…)`, or
/// `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn library(line: &str) -> Option<PathBuf> {
    let place = line.split("=>").last()?.split_whitespace().next()?;
    place.starts_with('/').then(|| PathBuf::from(place))
}

fn add_modules(archive: &mut Archive, kernel: &Path, busybox: &Path) -> Result<()> {
    let releases = kernel.join("lib/modules");
    let folder = fs::read_dir(&releases)
        .with_context(|| format!("could not read {}", releases.display()))?
        .next()
        .context("the kernel has no modules")??
        .path();
    let dependencies = fs::read_to_string(folder.join("modules.dep"))
        .with_context(|| format!("could not read modules.dep in {}", folder.display()))?;
    let mut order = String::new();
    for file in modules::in_load_order(&dependencies, modules::WANTED) {
        let name = modules::packed_name(&file);
        let path = folder.join(&file);
        let content = if path.extension().is_some_and(|ending| ending == "xz") {
            let output = Command::new(busybox).arg("xzcat").arg(&path).output()?;
            if !output.status.success() {
                bail!("could not decompress {}", path.display());
            }
            output.stdout
        } else {
            read(&path)?
        };
        archive.file(&format!("modules/{name}"), 0o644, &content);
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_program_are_read_from_ldd() {
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(
            library("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)"),
            Some(PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"))
        );
        assert_eq!(
            library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            Some(PathBuf::from("/lib64/ld-linux-x86-64.so.2"))
        );
    }
}
