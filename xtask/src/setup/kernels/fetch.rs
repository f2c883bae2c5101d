//! Fetching kernels from the Debian mirror.
//! Takes rows of the table, gives their folders in the cache; what the mirror
//! has no longer, it replaces by the newest of the series and says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Kernel;
use crate::arch::Arch;
use crate::command;
use crate::setup::mirror::{Mirror, Package, unpack};

/// Fetches kernels of one processor.
pub(super) fn fetch(arch: Arch, kernels: &[&Kernel]) -> Result<()> {
    let mut suites: Vec<&str> = Vec::new();
    for suite in kernels.iter().flat_map(|kernel| kernel.suites) {
        if !suites.contains(suite) {
            suites.push(suite);
        }
    }
    println!("kernels: reading the indexes of {}", suites.join(", "));
    let mirror = Mirror::open(arch, &suites)?;
    for kernel in kernels {
        if let Err(error) = fetch_one(kernel, &mirror) {
            println!("kernel {}: not fetched: {error:#}", kernel.name());
        }
    }
    Ok(())
}

fn fetch_one(kernel: &Kernel, mirror: &Mirror) -> Result<()> {
    let image = choose(kernel, mirror)?;
    let mut packages = vec![image.clone()];
    // From 7.x on the image package is empty and depends on two that are not.
    for name in image.depends_on(&["linux-binary-", "linux-modules-"]) {
        packages.push(mirror.exact(&name, &image.version)?);
    }
    let megabytes = packages.iter().map(|p| p.size_bytes).sum::<u64>() / 1_000_000;
    println!(
        "kernel {}: fetching {} {} ({megabytes} MB)",
        kernel.name(),
        image.name,
        image.version
    );

    let folder = kernel.folder()?;
    let fresh = folder.with_file_name(format!("{}.new", kernel.folder_name()));
    drop(fs::remove_dir_all(&fresh));
    let unpacked = fresh.join("unpacked");
    unpack(&mirror.download(&packages, &fresh)?, &unpacked)?;
    arrange(&unpacked, &fresh)?;
    let origin = format!(
        "{}\nfetched {} {}\n",
        kernel.pin(),
        image.name,
        image.version
    );
    fs::write(fresh.join("origin"), origin)?;
    drop(fs::remove_dir_all(&folder));
    fs::rename(&fresh, &folder).with_context(|| format!("could not fill {}", folder.display()))?;
    Ok(())
}

/// The pinned package, or the newest of the series where the mirror has it no
/// longer.
fn choose(kernel: &Kernel, mirror: &Mirror) -> Result<Package> {
    if let Ok(pinned) = mirror.exact(kernel.package, kernel.version) {
        return Ok(pinned);
    }
    // Where not all of its suites were read, that the package is gone is not known.
    let unread = mirror.unread_of(kernel.suites);
    if !unread.is_empty() {
        bail!(
            "{} {} may be in what could not be read: {}",
            kernel.package,
            kernel.version,
            unread.join(", ")
        );
    }
    let pattern = format!(
        r"^linux-image-{}[.-].*-cloud-{}$",
        kernel.series.replace('.', r"\."),
        kernel.arch.debian()
    );
    let Some(newest) = mirror.newest(&pattern, &format!("{}.", kernel.series))? else {
        bail!(
            "the mirror has no cloud kernel of this series; change its row in the table of kernels"
        );
    };
    println!(
        "kernel {}: the mirror no longer has {} {}, taking {} {}",
        kernel.name(),
        kernel.package,
        kernel.version,
        newest.name,
        newest.version
    );
    Ok(newest)
}

/// Brings both layouts that Debian uses (`boot/vmlinuz-*` with `lib/modules`,
/// and everything under `usr/lib/modules`) to one, and computes the modules'
/// dependencies, which packages leave to their installation scripts.
fn arrange(unpacked: &Path, fresh: &Path) -> Result<()> {
    let modules = [
        unpacked.join("lib/modules"),
        unpacked.join("usr/lib/modules"),
    ]
    .into_iter()
    .find_map(|parent| entries(&parent).into_iter().next())
    .context("the packages hold no kernel modules")?;
    let release = modules
        .file_name()
        .context("the modules have no release folder")?
        .to_owned();
    let vmlinuz = entries(&unpacked.join("boot"))
        .into_iter()
        .chain([modules.join("vmlinuz")])
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
                && path.is_file()
        })
        .context("the packages hold no vmlinuz")?;
    fs::rename(&vmlinuz, fresh.join("vmlinuz"))?;
    let home = fresh.join("lib/modules");
    fs::create_dir_all(&home)?;
    fs::rename(&modules, home.join(&release))?;
    fs::remove_dir_all(unpacked)?;
    let depmod = command::find("depmod").context("found no depmod; install the package kmod")?;
    command::output(Command::new(depmod).arg("-b").arg(fresh).arg(&release))?;
    Ok(())
}

/// What a folder holds, by name; nothing if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    entries
}
