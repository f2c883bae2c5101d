//! Builds the kernel probes with a toolchain that has its library source.
//!
//! Takes `OBSERVER_BPF_TOOLCHAIN`, or looks for a toolchain; gives the object
//! `observer-probes` in `OUT_DIR`. Never installs anything.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow, bail};
use aya_build::{Package, Toolchain};

const VARIABLE: &str = "OBSERVER_BPF_TOOLCHAIN";
const REMEDY: &str = "run `cargo xtask setup`, which finds or installs what the probes need";

#[expect(
    clippy::disallowed_methods,
    reason = "aya-build reads the environment; this process has one thread"
)]
fn main() -> ExitCode {
    // SAFETY: these are the first statements of a process with one thread. The first allows
    // `-Z build-std` to a compiler that is not a nightly, the second keeps a build without
    // errors silent.
    unsafe {
        env::set_var("RUSTC_BOOTSTRAP", "1");
        env::set_var("CARGO_TERM_QUIET", "true");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    if !runs("bpf-linker", &["--version"]) {
        bail!("the probes are linked by bpf-linker, which does not run here; {REMEDY}");
    }
    let toolchain = toolchain()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or_else(|| anyhow!("the package has no parent directory"))?
        .join("observer-ebpf");
    let root = root
        .to_str()
        .with_context(|| format!("{} is not UTF-8", root.display()))?;
    let package = Package {
        name: "observer-ebpf",
        root_dir: root,
        ..Default::default()
    };
    aya_build::build_ebpf([package], Toolchain::Custom(&toolchain)).with_context(|| {
        format!(
            "building the probes with the toolchain `{toolchain}` failed; if bpf-linker says \
                 `Invalid record`, its LLVM is older than the compiler's: {REMEDY}, or name \
                 another toolchain in {VARIABLE}"
        )
    })
}

/// The toolchain to build the probes with.
fn toolchain() -> Result<String> {
    match env::var(VARIABLE) {
        Ok(wanted) if has_library_source(&wanted) => return Ok(wanted),
        Ok(wanted) => bail!(
            "{VARIABLE} names the toolchain `{wanted}`, which rustup does not know or which \
             lacks the source of its library; {REMEDY}"
        ),
        Err(_) => {}
    }
    ["distro", "nightly"]
        .into_iter()
        .find(|name| has_library_source(name))
        .map(str::to_owned)
        .ok_or_else(|| {
            anyhow!("no toolchain here has the source of its library for the probes; {REMEDY}")
        })
}

/// Whether rustup knows the toolchain, and `-Z build-std` finds its library.
fn has_library_source(toolchain: &str) -> bool {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .output();
    let Ok(output) = output else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    output.status.success()
        && PathBuf::from(sysroot.trim())
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .is_file()
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}
