//! What it takes to build for arm64 on another machine, and to run it there.
//! Takes the installed toolchains and the cache, gives the compiler to use and
//! what is missing. Foreign packages are unpacked into the cache: the machine's
//! own dpkg stays what it is, for one processor.

mod fetch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Need, State, Step, needs, probes};
use crate::arch::Arch;
use crate::{command, place};
pub(super) use fetch::fetch;

/// The linker, which also knows where the libraries are.
pub(crate) const GCC: &str = "aarch64-linux-gnu-gcc";
const GCC_PACKAGES: &[&str] = &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// A Rust compiler that has its standard library for arm64.
pub(crate) struct Compiler {
    /// rustup's name of it, if it is not the one that builds the workspace.
    toolchain: Option<&'static str>,
    /// Where that library is, if it is not beside the compiler's own.
    library: Option<PathBuf>,
}

impl Compiler {
    /// The one that builds the workspace if it can, else the distribution's.
    pub(crate) fn find() -> Option<Self> {
        let ask = || {
            let mut rustc = Command::new("rustc");
            command::output(rustc.args(["--print", "sysroot"])).ok()
        };
        if ask().is_some_and(|sysroot| has_library(Path::new(sysroot.trim()))) {
            return Some(Self {
                toolchain: None,
                library: None,
            });
        }
        let sysroot = probes::rustc(probes::DISTRIBUTION, &["--print", "sysroot"])?;
        let library = if has_library(Path::new(&sysroot)) {
            None
        } else {
            Some(cached_library()?)
        };
        Some(Self {
            toolchain: Some(probes::DISTRIBUTION),
            library,
        })
    }

    /// Its cargo, set up to link for arm64.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = match self.toolchain {
            None => command::cargo(),
            Some(name) => {
                let mut rustup = Command::new("rustup");
                rustup
                    .args(["run", name, "cargo"])
                    // Those of the cargo that runs this program.
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("CARGO")
                    .env_remove("RUSTC");
                rustup
            }
        };
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", GCC);
        if let Some(library) = &self.library {
            let flag = format!("--sysroot={}", library.display());
            cargo.env("CARGO_ENCODED_RUSTFLAGS", flag);
        }
        cargo
    }

    fn describe(&self) -> String {
        let name = self.toolchain.unwrap_or("of the workspace");
        match &self.library {
            None => format!("toolchain {name}"),
            Some(library) => format!("toolchain {name}, {}", library.display()),
        }
    }
}

/// A busybox for arm64, linked statically.
pub(crate) fn busybox() -> Option<PathBuf> {
    let folder = folder().ok()?.join("busybox");
    ["usr/bin/busybox", "bin/busybox"]
        .map(|path| folder.join(path))
        .into_iter()
        .find(|path| path.is_file())
}

/// Nothing on an arm64 host, where [`super::Part::Vm`] is all there is.
pub(super) fn needs() -> Vec<Need> {
    if Arch::Arm64.is_host() {
        return Vec::new();
    }
    let mut needs = vec![
        needs::program(Arch::Arm64.emulator(), &["qemu-system-arm"]),
        needs::busybox(),
        needs::program("depmod", &["kmod"]),
        needs::program(GCC, GCC_PACKAGES),
        needs::program("aarch64-linux-gnu-readelf", &["binutils-aarch64-linux-gnu"]),
    ];
    let c_library = library("libc.so.6").map(|path| path.display().to_string());
    let compiler = Compiler::find().map(|compiler| compiler.describe());
    let busybox = busybox().map(|path| path.display().to_string());
    for (what, found, steps) in [
        ("C library for arm64", c_library, c_library_steps as Steps),
        ("Rust for arm64", compiler, compiler_steps),
        ("busybox for arm64", busybox, fetch_steps),
    ] {
        needs.push(Need {
            what: what.to_owned(),
            state: found.map_or_else(|| State::Missing(steps()), State::Found),
        });
    }
    needs
}

type Steps = fn() -> Vec<Step>;

fn c_library_steps() -> Vec<Step> {
    vec![Step::Apt(GCC_PACKAGES)]
}

fn fetch_steps() -> Vec<Step> {
    vec![Step::FetchArm64]
}

/// A Debian compiler gets Debian's library of the same version, any other gets
/// rustup's.
fn compiler_steps() -> Vec<Step> {
    if debian_package().is_some() {
        return vec![Step::FetchArm64];
    }
    if let Some(mut steps) = probes::debian_compiler() {
        steps.push(Step::FetchArm64);
        return steps;
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add"]).arg(Arch::Arm64.target());
    vec![Step::Run(add)]
}

/// The file that gcc would link for a shared library's name.
pub(crate) fn library(name: &str) -> Option<PathBuf> {
    let question = format!("-print-file-name={name}");
    let answer = command::output(Command::new(GCC).arg(question)).ok()?;
    let path = PathBuf::from(answer.trim());
    // A name that it does not know comes back as it is.
    path.is_absolute().then_some(path)
}

fn folder() -> Result<PathBuf> {
    Ok(place::cache()?.join("arm64"))
}

fn has_library(sysroot: &Path) -> bool {
    let target = Arch::Arm64.target();
    sysroot
        .join("lib/rustlib")
        .join(target)
        .join("lib")
        .is_dir()
}

/// The cached library, if it is of the distribution's very compiler: another
/// would not read it.
fn cached_library() -> Option<PathBuf> {
    let home = folder().ok()?.join("rust");
    let origin = fs::read_to_string(home.join("origin")).ok()?;
    let sysroot = home.join("usr");
    (origin == release()? && has_library(&sysroot)).then_some(sysroot)
}

fn release() -> Option<String> {
    probes::rustc(probes::DISTRIBUTION, &["--version"])
}

/// Name and version of the package that holds the standard library of the
/// distribution's compiler.
fn debian_package() -> Option<(String, String)> {
    let sysroot = probes::rustc(probes::DISTRIBUTION, &["--print", "sysroot"])?;
    let own = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(Arch::host().ok()?.target())
        .join("lib");
    let owner = command::output(Command::new("dpkg-query").arg("-S").arg(own)).ok()?;
    let name = owner.split([':', ',']).next()?;
    let mut ask = Command::new("dpkg-query");
    ask.args(["-W", "-f", "${Version}\n", name]);
    let version = command::output(&mut ask).ok()?.lines().next()?.to_owned();
    Some((name.to_owned(), version))
}
