//! What a guest of the kernel tests consists of.
//! Takes the programs, the kernel's folder and the tests' arguments, gives the
//! initramfs; writes nothing.

use std::env;
use std::path::Path;

use anyhow::{Result, bail};

use super::initramfs::Contents;
use super::modules;
use crate::arch::Arch;
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
        Contents {
            arch,
            kernel,
            modules: modules::WANTED,
            programs: &[(AGENT, self.agent), (TESTS, self.tests)],
            host_programs: host_programs(arch),
            environment: &self.environment(),
            run: include_str!("tests.sh"),
            texts: &[("test/arguments", &self.lines()?)],
        }
        .pack()
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
