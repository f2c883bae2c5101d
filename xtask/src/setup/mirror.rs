//! The Debian mirror of this machine, with an apt state of our own.
//! Takes suites, gives packages of theirs; never changes the machine's sources
//! or package lists, and names no host itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command;

/// An apt configuration under one folder, its indexes up to date.
pub(crate) struct Mirror {
    configuration: PathBuf,
}

/// One package as the index describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) size_bytes: u64,
    depends: String,
}

impl Mirror {
    pub(crate) fn open(folder: &Path, suites: &[&str]) -> Result<Self> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("could not create {}", folder.display()))?;
        }
        fs::write(folder.join("state/status"), "")?;
        let site = Site::of_this_machine()?;
        let keyring = keyring()?;
        let signed_by = keyring.display();
        let sources: Vec<String> = suites
            .iter()
            .map(|suite| {
                let uri = site.uri(suite);
                format!("deb [arch=amd64 signed-by={signed_by}] {uri} {suite} main")
            })
            .collect();
        fs::write(folder.join("sources.list"), sources.join("\n") + "\n")?;
        let configuration = folder.join("apt.conf");
        fs::write(&configuration, settings(folder)?)?;
        let mirror = Self { configuration };
        command::output(
            mirror
                .apt("apt-get")
                .args(["update", "-q", "--error-on=any"]),
        )?;
        Ok(mirror)
    }

    /// The package with exactly this version.
    pub(crate) fn exact(&self, name: &str, version: &str) -> Result<Package> {
        let text = command::output(self.apt("apt-cache").args(["show", name]))?;
        packages(&text)
            .into_iter()
            .find(|package| package.version == version)
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

impl Package {
    /// Names of its dependencies that start with one of these.
    pub(crate) fn depends_on(&self, prefixes: &[&str]) -> Vec<String> {
        self.depends
            .split([',', '|'])
            .filter_map(|dependency| dependency.split_whitespace().next())
            .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .map(str::to_owned)
            .collect()
    }
}

/// Where the archive and its security updates are.
struct Site {
    archive: String,
    security: String,
}

/// Names that Debian's main archive uses for its suites.
const SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

impl Site {
    /// Asks apt, which knows every format of its sources.
    fn of_this_machine() -> Result<Self> {
        let targets = command::output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE)",
            "Created-By: Packages",
        ]))?;
        Self::from_targets(&targets).context(
            "found no Debian archive among this machine's apt sources, which the kernels of the \
             VMs come from: add one to /etc/apt/sources.list.d",
        )
    }

    fn from_targets(targets: &str) -> Option<Self> {
        let pairs = || targets.lines().filter_map(|line| line.split_once(' '));
        let archive = pairs().find(|(_, suite)| SUITES.contains(suite))?.0;
        let archive = archive.trim_end_matches('/').to_owned();
        let security = pairs()
            .find(|(_, suite)| {
                suite
                    .strip_suffix("-security")
                    .is_some_and(|release| SUITES.contains(&release))
            })
            .map_or_else(
                || format!("{archive}-security"),
                |(uri, _)| uri.trim_end_matches('/').to_owned(),
            );
        Some(Self { archive, security })
    }

    fn uri(&self, suite: &str) -> &str {
        if suite.ends_with("-security") {
            &self.security
        } else {
            &self.archive
        }
    }
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
fn settings(folder: &Path) -> Result<String> {
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
    Ok(format!(
        r#"{network}
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

/// The stanzas of `apt-cache show`.
fn packages(text: &str) -> Vec<Package> {
    text.split("\n\n")
        .map(|stanza| {
            let field = |name: &str| {
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                    .unwrap_or_default()
                    .to_owned()
            };
            Package {
                name: field("Package"),
                version: field("Version"),
                size_bytes: field("Size").parse().unwrap_or_default(),
                depends: field("Depends"),
            }
        })
        .filter(|package| !package.name.is_empty())
        .collect()
}

/// The numbers of a version in order, which sort the versions of one kernel
/// series.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_series_sort_by_their_numbers() {
        assert!(numbers("6.12.117-1") > numbers("6.12.90-1"));
        assert!(numbers("6.12.115-2") > numbers("6.12.115-1"));
    }

    #[test]
    fn the_archive_is_the_one_of_this_machine() {
        let site = Site::from_targets(
            "http://other.example/apt tools\n\
             http://mirror.example/debian/ bookworm\n\
             http://mirror.example/debian/ bookworm-updates\n\
             http://mirror.example/security/ bookworm-security\n",
        )
        .unwrap();
        assert_eq!(site.uri("trixie-backports"), "http://mirror.example/debian");
        assert_eq!(
            site.uri("bullseye-security"),
            "http://mirror.example/security"
        );
    }

    #[test]
    fn a_machine_without_a_debian_archive_has_no_site() {
        assert!(Site::from_targets("http://mirror.example/ubuntu noble\n").is_none());
    }

    #[test]
    fn split_kernels_name_their_parts() {
        let text = "Package: linux-image-7.2\nVersion: 7.2.12-1\nSize: 12\n\
                    Depends: kmod, linux-binary-7.2 (= 7.2.12-1), linux-modules-7.2 (= 7.2.12-1)\n\n";
        let packages = packages(text);
        let [package] = packages.as_slice() else {
            panic!("one stanza is one package: {packages:?}");
        };
        assert_eq!(package.size_bytes, 12);
        assert_eq!(
            package.depends_on(&["linux-binary-", "linux-modules-"]),
            ["linux-binary-7.2", "linux-modules-7.2"]
        );
    }
}
