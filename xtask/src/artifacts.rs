//! Builds what the commands run.
//! Takes what is wanted, gives the path that cargo's JSON messages name: no
//! guessing of target folders.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::arch::Arch;
use crate::setup::arm64::Compiler;
use crate::setup::probes;
use crate::{command, place};

/// The agent, release profile, for this machine.
pub(crate) fn agent() -> Result<PathBuf> {
    agent_for(Arch::host()?)
}

/// The agent as it ships.
pub(crate) fn shipped_agent() -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--package", "observer", "--bin", "tcp-observer"]);
    cargo.args(["--profile", "dist"]);
    executable(cargo, "tcp-observer")
}

/// The agent, release profile.
pub(crate) fn agent_for(arch: Arch) -> Result<PathBuf> {
    let words = ["build", "--package", "observer", "--bin", "tcp-observer"];
    executable(release(arch, &words)?, "tcp-observer")
}

/// The kernel tests, release profile: the VMs are emulated, and slow enough.
pub(crate) fn kernel_tests_for(arch: Arch) -> Result<PathBuf> {
    let words = ["test", "--package", "xtask", "--test", "kernel", "--no-run"];
    executable(release(arch, &words)?, "kernel")
}

/// The benchmark of what happens to an event in the agent.
pub(crate) fn pipeline() -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args([
        "bench",
        "--package",
        "observer",
        "--bench",
        "pipeline",
        "--no-run",
    ]);
    executable(cargo, "pipeline")
}

/// The programs that the benchmarks compare, as aya-build makes those of the agent.
pub(crate) fn shapes() -> Result<PathBuf> {
    let toolchain = probes::toolchain().context("found no toolchain for the probes")?;
    let arch = std::env::consts::ARCH;
    let flags = [
        &format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
    ];
    let name = "observer-shapes";
    let mut build = Command::new("rustup");
    build
        .args(["run", &toolchain, "cargo", "build", "--release"])
        .args(["--package", "observer-ebpf", "--bin", name])
        .args(["--features", "shapes", "--target", "bpfel-unknown-none"])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(place::target().join("shapes"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC"] {
        build.env_remove(variable);
    }
    executable(build, name)
}

/// A build for one processor. A foreign one has a target folder of its own: its
/// compiler may be another, and two would rebuild each other's work.
fn release(arch: Arch, words: &[&str]) -> Result<Command> {
    if arch.is_host() {
        let mut cargo = command::cargo();
        cargo.args(words).arg("--release");
        return Ok(cargo);
    }
    if arch != Arch::Arm64 {
        bail!("only arm64 is built for on another machine than its own");
    }
    let compiler = Compiler::find().context("no compiler here builds for arm64")?;
    let mut cargo = compiler.cargo();
    cargo
        .args(words)
        .args(["--release", "--target", &arch.target(), "--target-dir"])
        .arg(place::target().join(arch.name()));
    Ok(cargo)
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn executable(mut build: Command, name: &str) -> Result<PathBuf> {
    build
        .arg("--message-format=json-render-diagnostics")
        .current_dir(place::repository())
        .stderr(Stdio::inherit());
    let line = command::line(&build);
    let output = build
        .output()
        .with_context(|| format!("could not start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    named(&messages, name).with_context(|| format!("`{line}` built no {name}"))
}

fn named(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.as_ref().is_some_and(|it| it.name == name))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_the_named_target() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"build"},"executable":"/a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/b"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(named(messages, "kernel"), Some(PathBuf::from("/b")));
        assert_eq!(named(messages, "none"), None);
    }
}
