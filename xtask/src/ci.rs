//! Exactly what continuous integration runs, in its order.
//! Takes the checkout as it is, gives the time of each part; stops at the first
//! part that fails.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Part, probes};
use crate::stopwatch::Stopwatch;
use crate::{command, place, test, tidy};

/// `cargo xtask ci`.
pub(crate) fn main() -> Result<()> {
    let whole = Stopwatch::start();
    let mut times = Vec::new();
    let outcome = parts(&mut times);
    println!("\ntimes");
    for (name, time) in &times {
        println!("  {name:<20} {time}");
    }
    println!("  {:<20} {whole}", "all");
    outcome
}

type Step = (&'static str, fn() -> Result<()>);

fn parts(times: &mut Vec<(&'static str, String)>) -> Result<()> {
    let steps: &[Step] = &[
        ("setup", set_up),
        ("tidy", tidy::main),
        ("format", format),
        ("clippy", clippy),
        ("clippy for bpf", clippy_for_bpf),
        ("documentation", documentation),
        ("licences and bans", licences),
        ("tests", || test::main(&test::Args::default())),
    ];
    for (name, step) in steps {
        println!("\n== {name}");
        let watch = Stopwatch::start();
        let outcome = step();
        times.push((name, watch.to_string()));
        if let Err(error) = outcome {
            bail!("{name}: {error:#}");
        }
    }
    Ok(())
}

/// Gibibytes: more than a run in a fresh clone leaves under the target folder, which
/// is some 8 with arm64 and what the VMs start from.
const ROOM: u64 = 12;

/// What the steps need. Where arm64 cannot be had, the tests decide what that means.
fn set_up() -> Result<()> {
    enough(free_space(&place::target())?)?;
    setup::ensure(&[
        Part::Probes,
        Part::Vm,
        Part::Lint,
        Part::Prometheus,
        Part::Servers,
    ])?;
    if let Err(error) = setup::ensure(&[Part::Arm64]) {
        println!("setup: no arm64: {error:#}");
    }
    Ok(())
}

/// Bytes that are free on the filesystem of `folder`.
fn free_space(folder: &Path) -> Result<u64> {
    let filesystem = nix::sys::statvfs::statvfs(folder)
        .with_context(|| format!("cannot tell how much space {} has", folder.display()))?;
    Ok(filesystem.blocks_available() * filesystem.fragment_size())
}

/// A disk that is full an hour later says less than one that is too small now.
fn enough(free: u64) -> Result<()> {
    let gibibyte = 1 << 30;
    if free < ROOM * gibibyte {
        bail!(
            "{} GiB are free where target/ is, and a run takes up to {ROOM}: \
             `cargo clean` gives back what earlier builds left",
            free / gibibyte
        );
    }
    Ok(())
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])
}

fn clippy() -> Result<()> {
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )
}

/// The probes under the clippy of the toolchain that builds them: only it reads
/// that toolchain's library. A stable one needs leave to build a library.
fn clippy_for_bpf() -> Result<()> {
    let toolchain = probes::toolchain().context("found no toolchain for the probes")?;
    let folder = place::target().join("clippy-bpf");
    let arch = std::env::consts::ARCH;
    command::run(
        Command::new("rustup")
            .args([
                "run",
                &toolchain,
                "cargo",
                "clippy",
                "--package",
                "observer-ebpf",
            ])
            .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
            .args(["--features", "shapes", "--", "-D", "warnings"])
            .current_dir(place::repository())
            .env("CARGO_TARGET_DIR", folder)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{arch}\""))
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env_remove("RUSTC"),
    )
}

fn documentation() -> Result<()> {
    let flags = [("RUSTDOCFLAGS", "-D warnings")];
    cargo(
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        &flags,
    )
}

fn licences() -> Result<()> {
    cargo(
        &[
            "deny",
            "--workspace",
            "check",
            "licenses",
            "bans",
            "sources",
        ],
        &[],
    )
}

fn cargo(words: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    command::run(
        command::cargo()
            .args(words)
            .envs(environment.iter().copied())
            .current_dir(place::repository()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_told_at_the_start() {
        let refusal = enough((ROOM << 30) - 1).expect_err("one byte short");
        let told = format!("{} GiB are free", ROOM - 1);
        assert!(refusal.to_string().starts_with(&told), "{refusal}");
        enough(ROOM << 30).expect("as much as a run takes");
    }

    #[test]
    fn the_space_of_a_folder_that_is_not_there_names_it() {
        let refusal = free_space(Path::new("/no/such/folder")).expect_err("not there");
        assert!(refusal.to_string().contains("/no/such/folder"), "{refusal}");
    }
}
