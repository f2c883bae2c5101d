//! The kernels of the VMs, pinned, and their cache.
//! Takes the table beside, gives a folder per kernel with `vmlinuz`,
//! `lib/modules/RELEASE/` and `origin`; never touches the host's own kernel.

mod fetch;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::arch::Arch;
use crate::place;
pub(crate) use table::{KERNELS, Kernel, Lack};

/// Those of one processor, oldest first.
pub(crate) fn of(arch: Arch) -> impl Iterator<Item = &'static Kernel> {
    KERNELS.iter().filter(move |kernel| kernel.arch == arch)
}

impl Kernel {
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        Ok(place::cache()?.join("kernels").join(self.folder_name()))
    }

    /// What the cache holds of it, if anything.
    pub(crate) fn cached(&self) -> Result<Option<Cached>> {
        let folder = self.folder()?;
        let Ok(origin) = fs::read_to_string(folder.join("origin")) else {
            return Ok(None);
        };
        let mut lines = origin.lines();
        let is_current = lines.next() == Some(self.pin().as_str());
        let fetched = lines.next().unwrap_or_default().to_owned();
        Ok(Some(Cached {
            folder,
            fetched,
            is_current,
        }))
    }
}

/// A kernel in the cache.
pub(crate) struct Cached {
    pub(crate) folder: PathBuf,
    /// Package and version that were fetched.
    fetched: String,
    /// Whether it is what the pin asks for, or what was taken in its place when
    /// the mirror did not have that.
    is_current: bool,
}

/// One line per kernel in the cache; an error if one is missing.
pub(crate) fn list(arch: Arch) -> Result<()> {
    let mut missing = Vec::new();
    for kernel in of(arch) {
        match kernel.cached()? {
            Some(cached) => {
                let what = format!("kernel {}", kernel.name());
                println!(
                    "{what:<24} {} in {}",
                    cached.fetched,
                    cached.folder.display()
                );
            }
            None => missing.push(kernel.series),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "no {} kernel of the series {}",
        arch.name(),
        missing.join(", ")
    )
}

/// Fetches what the cache lacks. What cannot be had is said in one line each.
pub(crate) fn fetch_missing(arch: Arch) -> Result<()> {
    let mut kernels = Vec::new();
    for kernel in of(arch) {
        if !kernel.cached()?.is_some_and(|cached| cached.is_current) {
            kernels.push(kernel);
        }
    }
    if kernels.is_empty() {
        return Ok(());
    }
    if let Err(error) = fetch::fetch(arch, &kernels) {
        println!("setup: kernels not fetched: {error:#}");
    }
    Ok(())
}
