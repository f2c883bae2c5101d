//! The initramfs of a guest: what all guests share, and what one runs.
//! Takes a kernel's folder, programs and texts, gives the archive's bytes; writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::{libraries, modules};
use crate::arch::Arch;
use crate::command;
use crate::setup::arm64;

/// What is in a guest. Paths in it have no leading `/`.
pub(super) struct Contents<'a> {
    pub(super) arch: Arch,
    /// The kernel's folder in the cache.
    pub(super) kernel: &'a Path,
    pub(super) modules: &'a [&'a str],
    /// Where a program goes, and where it is.
    pub(super) programs: &'a [(&'a str, &'a Path)],
    /// Programs of this machine by their names, as far as it has them.
    pub(super) host_programs: &'a [&'a str],
    /// Assignments that its first process reads; `REPORT`, the device of its results, is one.
    pub(super) environment: &'a str,
    /// What it runs once the guest is ready, as a shell reads it; its status is reported.
    pub(super) run: &'a str,
    /// Where another text goes, and the text.
    pub(super) texts: &'a [(&'a str, &'a str)],
}

impl Contents<'_> {
    pub(super) fn pack(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        let own = command::find("busybox").context("found no busybox")?;
        let busybox = if self.arch.is_host() {
            own.clone()
        } else {
            arm64::busybox().context("found no busybox for the guest")?
        };
        archive.file("bin/busybox", 0o755, &read(&busybox)?);
        archive.file("init", 0o755, include_bytes!("init.sh"));
        archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\n");
        archive.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
        archive.link("var/run", "/run");
        archive.file("test/environment", 0o644, self.environment.as_bytes());
        archive.file("test/run", 0o644, self.run.as_bytes());
        for (inside, text) in self.texts {
            archive.file(inside, 0o644, text.as_bytes());
        }
        let mut programs: Vec<PathBuf> = Vec::new();
        for (inside, path) in self.programs {
            archive.file(inside, 0o755, &read(path)?);
            programs.push(path.to_path_buf());
        }
        for path in self.host_programs.iter().filter_map(|it| command::find(it)) {
            let name = path.file_name().context("a program has no name")?;
            let inside = format!("usr/sbin/{}", name.to_string_lossy());
            archive.file(&inside, 0o755, &read(&path)?);
            programs.push(path);
        }
        for (inside, library) in libraries::of(self.arch, &programs)? {
            archive.file(&inside, 0o755, &read(&library)?);
        }
        add_modules(&mut archive, self.kernel, self.modules, &own)?;
        Ok(archive.finish())
    }
}

fn add_modules(
    archive: &mut Archive,
    kernel: &Path,
    wanted: &[&str],
    busybox: &Path,
) -> Result<()> {
    let releases = kernel.join("lib/modules");
    let folder = fs::read_dir(&releases)
        .with_context(|| format!("could not read {}", releases.display()))?
        .next()
        .context("the kernel has no modules")??
        .path();
    let dependencies = fs::read_to_string(folder.join("modules.dep"))
        .with_context(|| format!("could not read modules.dep in {}", folder.display()))?;
    let mut order = String::new();
    for file in modules::in_load_order(&dependencies, wanted) {
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
