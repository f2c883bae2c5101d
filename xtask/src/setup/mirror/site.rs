//! Where this machine's Debian archive is.
//! Takes what apt says of its sources, gives addresses.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// Where the archive and its security updates are.
pub(super) struct Site {
    archive: String,
    security: String,
}

/// Names that Debian's main archive uses for its suites.
pub(super) const SUITES: &[&str] = &[
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
    pub(super) fn of_this_machine() -> Result<Self> {
        Self::from_targets(&targets()?).context(
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

    pub(super) fn uri(&self, suite: &str) -> &str {
        if suite.ends_with("-security") {
            &self.security
        } else {
            &self.archive
        }
    }
}

/// What apt knows of this machine's sources: an address and a suite on each line.
pub(super) fn targets() -> Result<String> {
    command::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE)",
        "Created-By: Packages",
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
