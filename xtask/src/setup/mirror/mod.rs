//! The Debian mirror of this machine, with an apt state of our own for each
//! processor. Takes suites, gives packages of theirs; never changes the machine's
//! sources, package lists or processors, and names no host itself.

mod package;
mod site;
mod suites;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;
use crate::{command, place};
pub(crate) use package::Package;
use package::{numbers, packages, without_rebuild};
use site::Site;
pub(super) use suites::suites_with;

/// An apt configuration under one folder, its indexes up to date.
pub(crate) struct Mirror {
    configuration: PathBuf,
    /// Suites that could not be read.
    unread: Vec<String>,
}

impl Mirror {
    /// The packages that some suites have for one processor. A suite that cannot be read is
    /// said in one line and takes no other with it.
    pub(crate) fn open(arch: Arch, suites: &[&str]) -> Result<Self> {
        let folder = place::cache()?.join(match arch {
            Arch::X86_64 => "apt",
            Arch::Arm64 => "apt-arm64",
        });
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("could not create {}", folder.display()))?;
        }
        fs::write(folder.join("state/status"), "")?;
        let configuration = folder.join("apt.conf");
        fs::write(&configuration, settings(&folder, arch)?)?;
        let mut mirror = Self {
            configuration,
            unread: Vec::new(),
        };
        let site = Site::of_this_machine()?;
        let keyring = keyring()?;
        let update = |suites: &[&str]| {
            let sources = sources(arch, &site, &keyring, suites);
            fs::write(folder.join("sources.list"), sources)?;
            let mut apt = mirror.apt("apt-get");
            command::output(apt.args(["update", "-q", "--error-on=any"])).map(drop)
        };
        mirror.unread = suites::read(suites, update)?;
        Ok(mirror)
    }

    /// Those of some suites that could not be read.
    pub(crate) fn unread_of(&self, suites: &[&str]) -> Vec<&str> {
        let unread = self.unread.iter().map(String::as_str);
        unread.filter(|suite| suites.contains(suite)).collect()
    }

    /// The package with exactly this version.
    pub(crate) fn exact(&self, name: &str, version: &str) -> Result<Package> {
        let text = command::output(self.apt("apt-cache").args(["show", name]))?;
        packages(&text)
            .into_iter()
            .find(|package| package.version == version)
            .with_context(|| format!("the mirror has no {name} {version}"))
    }

    /// The package that was built of the same source as this version. What a
    /// processor's archive rebuilds has `+b1` and the like at its end.
    pub(crate) fn of_source(&self, name: &str, version: &str) -> Result<Package> {
        let text = command::output(self.apt("apt-cache").args(["show", name]))?;
        packages(&text)
            .into_iter()
            .find(|package| without_rebuild(&package.version) == without_rebuild(version))
            .with_context(|| format!("the mirror has no {name} {version}"))
    }

    /// The newest package whose name matches a pattern and whose version starts
    /// with a prefix.
    pub(crate) fn newest(&self, pattern: &str, prefix: &str) -> Result<Option<Package>> {
        let found =
            command::output(
                self.apt("apt-cache")
                    .args(["search", "--names-only", pattern]),
            )?;
        let names: Vec<&str> = found
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        if names.is_empty() {
            return Ok(None);
        }
        let text = command::output(self.apt("apt-cache").arg("show").args(names))?;
        Ok(packages(&text)
            .into_iter()
            .filter(|package| package.version.starts_with(prefix))
            .max_by_key(|package| numbers(&package.version)))
    }

    /// Downloads packages into a folder and gives the archives.
    pub(crate) fn download(&self, packages: &[Package], folder: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        let wanted = packages
            .iter()
            .map(|package| format!("{}={}", package.name, package.version));
        command::run(
            self.apt("apt-get")
                .args(["download", "-q"])
                .args(wanted)
                .current_dir(folder),
        )?;
        let mut archives = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "deb") {
                archives.push(path);
            }
        }
        if archives.len() != packages.len() {
            bail!(
                "asked for {} packages, got {}",
                packages.len(),
                archives.len()
            );
        }
        Ok(archives)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }
}

/// Unpacks archives into a folder, and removes them.
pub(super) fn unpack(archives: &[PathBuf], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    for archive in archives {
        command::output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(folder))?;
        fs::remove_file(archive)
            .with_context(|| format!("could not remove {}", archive.display()))?;
    }
    Ok(())
}

/// The lines of `sources.list`.
fn sources(arch: Arch, site: &Site, keyring: &Path, suites: &[&str]) -> String {
    let (debian, signed_by) = (arch.debian(), keyring.display());
    let line = |suite: &&str| {
        let uri = site.uri(suite);
        format!("deb [arch={debian} signed-by={signed_by}] {uri} {suite} main\n")
    };
    suites.iter().map(line).collect()
}

fn keyring() -> Result<PathBuf> {
    ["pgp", "gpg"]
        .map(|ending| {
            PathBuf::from(format!(
                "/usr/share/keyrings/debian-archive-keyring.{ending}"
            ))
        })
        .into_iter()
        .find(|path| path.exists())
        .context("found no keyring of the Debian archive; install debian-archive-keyring")
}

/// apt reads this file before all others, and with it no others. How this
/// machine reaches the network (proxies, timeouts) is carried over.
fn settings(folder: &Path, arch: Arch) -> Result<String> {
    let machine = command::output(Command::new("apt-config").arg("dump"))?;
    let network: Vec<&str> = machine
        .lines()
        .filter(|line| {
            ["http", "https", "Retries", "ForceIPv", "Check-"]
                .iter()
                .any(|key| line.starts_with(&format!("Acquire::{key}")))
        })
        .collect();
    let network = network.join("\n");
    let folder = folder.display();
    let arch = arch.debian();
    Ok(format!(
        r#"{network}
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
APT::Sandbox::User "";
"#
    ))
}
