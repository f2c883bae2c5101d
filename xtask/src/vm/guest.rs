//! What a test VM consists of: its initramfs.
//! Takes the programs, the kernel's folder and the tests' arguments, gives the
//! archive's bytes; writes nothing.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::{libraries, modules};
use crate::arch::Arch;
use crate::command;
use crate::setup::arm64;
use crate::setup::kernels::Kernel;

/// Where the guest finds things.
const AGENT: &str = "usr/bin/tcp-observer";
const TESTS: &str = "test/kernel";

/// What one guest runs.
pub(crate) struct Guest<'a> {
    pub(crate) kernel: &'a Kernel,
    /// The device of its second serial port.
    pub(crate) report: &'a str,
    pub(crate) agent: &'a Path,
    pub(crate) tests: &'a Path,
    pub(crate) backends: &'a str,
    /// Only one case for each ending.
    pub(crate) one_per_ending: bool,
    pub(crate) seed: u64,
    /// Arguments of the kernel tests: filters of libtest.
    pub(crate) arguments: &'a [String],
    /// The mutation check instead of the cases.
    pub(crate) mutate: bool,
}

impl Guest<'_> {
    /// The initramfs, with modules from a folder.
    pub(crate) fn pack(&self, kernel: &Path) -> Result<Vec<u8>> {
        let arch = self.kernel.arch;
        let mut archive = Archive::default();
        let own = command::find("busybox").context("found no busybox")?;
        let busybox = if arch.is_host() {
            own.clone()
        } else {
            arm64::busybox().context("found no busybox for the guest")?
        };
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
        for name in host_programs(arch) {
            if let Some(path) = command::find(name) {
                archive.file(&format!("usr/sbin/{name}"), 0o755, &read(&path)?);
                programs.push(path);
            }
        }
        for (inside, library) in libraries::of(arch, &programs)? {
            archive.file(&inside, 0o755, &read(&library)?);
        }
        add_modules(&mut archive, kernel, &own)?;
        Ok(archive.finish())
    }

    fn environment(&self) -> String {
        let mut text = format!(
            "REPORT=/dev/{}\n\
             export KERNEL_TEST_IN_VM=1 TCP_OBSERVER_BIN=/{AGENT} KERNEL_TEST_SEED={}\n\
             export KERNEL_TEST_BACKENDS={} KERNEL_TEST_MAY_LACK={} RUST_BACKTRACE=1\n",
            self.report,
            self.seed,
            self.backends,
            self.kernel.may_lack.join(",")
        );
        if self.one_per_ending {
            text += "export KERNEL_TEST_ONE_PER_ENDING=1\n";
        }
        if self.mutate {
            text += "export KERNEL_TEST_MUTATE=1\n";
        }
        if let Ok(options) = env::var("KERNEL_TEST_OPTIONS") {
            // In quotes, as an option may hold what a shell reads otherwise.
            let options = ["export KERNEL_TEST_OPTIONS='", &options, "'\n"];
            text.extend(options);
        }
        text
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

/// busybox has no tc and no `ss -K`; scenarios may use the real ones, and runc makes a container.
/// A foreign guest cannot run those of this machine.
fn host_programs(arch: Arch) -> &'static [&'static str] {
    if arch.is_host() {
        &["ip", "tc", "ss", "nft", "runc"]
    } else {
        &[]
    }
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
