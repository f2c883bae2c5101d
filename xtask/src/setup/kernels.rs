//! The kernels of the VMs, pinned, and their cache.
//! Takes the table below, gives a folder per series with `vmlinuz`,
//! `lib/modules/RELEASE/` and `origin`; never touches the host's own kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::mirror::{Mirror, Package};
use crate::{command, place};

/// One kernel to test on. To move to a newer one, change `package` and
/// `version`; the next `cargo xtask setup` fetches it.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The name of the folder in the cache and the argument of `--kernels`.
    pub(crate) series: &'static str,
    /// Suites of the archive that carry the series.
    pub(crate) suites: &'static [&'static str],
    /// The pinned package.
    pub(crate) package: &'static str,
    /// The pinned version of that package.
    pub(crate) version: &'static str,
}

/// Oldest first.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        series: "5.10",
        suites: &["bullseye", "bullseye-security"],
        package: "linux-image-5.10.0-46-cloud-amd64",
        version: "5.10.262-1",
    },
    Kernel {
        series: "6.1",
        suites: &["bookworm", "bookworm-security"],
        package: "linux-image-6.1.0-56-cloud-amd64",
        version: "6.1.192-2",
    },
    Kernel {
        series: "6.12",
        suites: &["trixie", "trixie-security"],
        package: "linux-image-6.12.117+deb13-cloud-amd64",
        version: "6.12.117-1",
    },
    Kernel {
        series: "6.18",
        suites: &["trixie-backports"],
        package: "linux-image-6.18.15+deb13-cloud-amd64",
        version: "6.18.15-1~bpo13+1",
    },
    Kernel {
        series: "7.2",
        suites: &["trixie-backports"],
        package: "linux-image-7.2.12+deb13-cloud-amd64",
        version: "7.2.12-1~bpo13+1",
    },
];

impl Kernel {
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        Ok(place::cache()?.join("kernels").join(self.series))
    }

    /// What the cache holds of this series, if anything.
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

    fn pin(&self) -> String {
        format!("pinned {} {}", self.package, self.version)
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
pub(crate) fn list() -> Result<()> {
    let mut missing = Vec::new();
    for kernel in KERNELS {
        match kernel.cached()? {
            Some(cached) => {
                let what = format!("kernel {}", kernel.series);
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
    bail!("no kernel of the series {}", missing.join(", "))
}

/// Fetches what the cache lacks. What cannot be had is said in one line each.
pub(crate) fn fetch_missing() -> Result<()> {
    let mut kernels = Vec::new();
    for kernel in KERNELS {
        if !kernel.cached()?.is_some_and(|cached| cached.is_current) {
            kernels.push(kernel);
        }
    }
    if kernels.is_empty() {
        return Ok(());
    }
    if let Err(error) = fetch(&kernels) {
        println!("setup: kernels not fetched: {error:#}");
    }
    Ok(())
}

fn fetch(kernels: &[&Kernel]) -> Result<()> {
    let mut suites: Vec<&str> = Vec::new();
    for suite in kernels.iter().flat_map(|kernel| kernel.suites) {
        if !suites.contains(suite) {
            suites.push(suite);
        }
    }
    println!("kernels: reading the indexes of {}", suites.join(", "));
    let mirror = Mirror::open(&place::cache()?.join("apt"), &suites)?;
    for kernel in kernels {
        if let Err(error) = fetch_one(kernel, &mirror) {
            println!("kernel {}: not fetched: {error:#}", kernel.series);
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
        kernel.series, image.name, image.version
    );

    let folder = kernel.folder()?;
    let fresh = folder.with_file_name(format!("{}.new", kernel.series));
    drop(fs::remove_dir_all(&fresh));
    let unpacked = fresh.join("unpacked");
    fs::create_dir_all(&unpacked)
        .with_context(|| format!("could not create {}", unpacked.display()))?;
    for archive in mirror.download(&packages, &fresh)? {
        command::output(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(&archive)
                .arg(&unpacked),
        )?;
        fs::remove_file(&archive)
            .with_context(|| format!("could not remove {}", archive.display()))?;
    }
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
    let pattern = format!(
        r"^linux-image-{}[.-].*-cloud-amd64$",
        kernel.series.replace('.', r"\.")
    );
    let Some(newest) = mirror.newest(&pattern, &format!("{}.", kernel.series))? else {
        bail!(
            "the mirror has no cloud kernel of this series; change its row in the table of kernels"
        );
    };
    println!(
        "kernel {}: the mirror no longer has {} {}, taking {} {}",
        kernel.series, kernel.package, kernel.version, newest.name, newest.version
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
