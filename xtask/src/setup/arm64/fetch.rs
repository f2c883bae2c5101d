//! Fetching for arm64 from the Debian mirror.
//! Takes what the cache lacks, gives it unpacked into the cache.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::super::mirror::{Mirror, Package, suites_with, unpack};
use super::super::probes;
use super::{Compiler, busybox, debian_package, folder, release};
use crate::arch::Arch;

/// Fetches from the mirror what the cache lacks, each from the suites that have it.
pub(in crate::setup) fn fetch() -> Result<()> {
    if busybox().is_none() {
        let name = "busybox-static";
        let mirror = open(name, None)?;
        let package = mirror
            .newest(&format!("^{name}$"), "")?
            .with_context(|| format!("the mirror has no {name} for arm64"))?;
        fetch_package(&mirror, package, "busybox", "")?;
    }
    if Compiler::find().is_none() {
        let Some((name, version)) = debian_package() else {
            bail!(
                "the toolchain {} is no Debian package",
                probes::DISTRIBUTION
            );
        };
        let mirror = open(&name, Some(&version))?;
        let package = mirror.of_source(&name, &version).with_context(|| {
            let target = Arch::Arm64.target();
            format!("run `rustup target add {target}`, or update {name}")
        })?;
        let origin = release().context("the compiler does not say its version")?;
        fetch_package(&mirror, package, "rust", &origin)?;
    }
    Ok(())
}

/// The mirror with the suites that have a package on this machine's processor.
fn open(name: &str, version: Option<&str>) -> Result<Mirror> {
    let suites = suites_with(name, version)?;
    let suites: Vec<&str> = suites.iter().map(String::as_str).collect();
    println!("arm64: reading the indexes of {}", suites.join(", "));
    Mirror::open(Arch::Arm64, &suites)
}

fn fetch_package(mirror: &Mirror, package: Package, name: &str, origin: &str) -> Result<()> {
    println!(
        "arm64: fetching {} {} ({} MB)",
        package.name,
        package.version,
        package.size_bytes.div_ceil(1_000_000)
    );
    let home = folder()?.join(name);
    let fresh = home.with_extension("new");
    drop(fs::remove_dir_all(&fresh));
    unpack(&mirror.download(&[package], &fresh)?, &fresh)?;
    fs::write(fresh.join("origin"), origin)?;
    drop(fs::remove_dir_all(&home));
    fs::rename(&fresh, &home).with_context(|| format!("could not fill {}", home.display()))
}
