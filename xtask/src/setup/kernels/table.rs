//! The kernels to test on.

use crate::arch::Arch;

/// One kernel to test on. To move to a newer one, change `package` and
/// `version`; the next `cargo xtask setup` fetches it.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) arch: Arch,
    /// The argument of `--kernels`.
    pub(crate) series: &'static str,
    /// Suites of the archive that carry the series.
    pub(crate) suites: &'static [&'static str],
    /// The pinned package.
    pub(crate) package: &'static str,
    /// The pinned version of that package.
    pub(crate) version: &'static str,
    /// Backends that it may refuse. Where it does, their cases are skipped with
    /// the kernel's reason; a kernel that refuses any other fails.
    pub(crate) may_lack: &'static [&'static str],
    /// Cases that it cannot make. A case that says so of itself and stands in no row fails, and
    /// so does a row whose case was made.
    pub(crate) may_not_make: &'static [Lack],
}

/// Cases that a kernel cannot make, for one reason.
#[derive(Debug)]
pub(crate) struct Lack {
    /// Their names, without the backend.
    pub(crate) cases: &'static [&'static str],
    /// What it lacks.
    pub(crate) reason: &'static str,
}

const NO_MPTCP: Lack = Lack {
    cases: &[
        "mptcp_close",
        "mptcp_fallback",
        "mptcp_fallback_linger_zero",
        "mptcp_join_in_vain",
        "mptcp_linger_zero",
        "mptcp_peer_resets",
        "mptcp_unread",
    ],
    reason: "Debian builds it without Multipath TCP",
};

const NO_KTLS: Lack = Lack {
    cases: &[
        "ktls_bad_record",
        "ktls_bad_record_closed",
        "ktls_close",
        "ktls_unread",
    ],
    reason: "Debian's cloud package of it has no module for kTLS",
};

const NO_MIGRATION: Lack = Lack {
    cases: &["listener_migrates"],
    reason: "a sibling takes queued children over since 5.14",
};

const NO_CHALLENGE_FOR_REQUESTS: Lack = Lack {
    cases: &["reset_of_a_request_challenged", "wrong_reset_of_a_request"],
    reason: "it is older than tcp_reqsk_send_challenge_ack: any RST in the window drops a request",
};

/// A case of the kernel tests that is no scenario.
const NO_RUNC: Lack = Lack {
    cases: &["leaks_container_of_runc"],
    reason: "a guest of another processor has no program of this machine",
};

/// Oldest first.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        arch: Arch::X86_64,
        series: "5.10",
        suites: &["bullseye", "bullseye-security"],
        package: "linux-image-5.10.0-46-cloud-amd64",
        version: "5.10.262-1",
        may_lack: &[],
        may_not_make: &[NO_MPTCP, NO_KTLS, NO_MIGRATION, NO_CHALLENGE_FOR_REQUESTS],
    },
    Kernel {
        arch: Arch::X86_64,
        series: "6.1",
        suites: &["bookworm", "bookworm-security"],
        package: "linux-image-6.1.0-56-cloud-amd64",
        version: "6.1.192-2",
        may_lack: &[],
        may_not_make: &[],
    },
    Kernel {
        arch: Arch::X86_64,
        series: "6.12",
        suites: &["trixie", "trixie-security"],
        package: "linux-image-6.12.117+deb13-cloud-amd64",
        version: "6.12.117-1",
        may_lack: &[],
        may_not_make: &[],
    },
    Kernel {
        arch: Arch::X86_64,
        series: "6.18",
        suites: &["trixie-backports"],
        package: "linux-image-6.18.15+deb13-cloud-amd64",
        version: "6.18.15-1~bpo13+1",
        may_lack: &[],
        may_not_make: &[NO_CHALLENGE_FOR_REQUESTS],
    },
    Kernel {
        arch: Arch::X86_64,
        series: "7.2",
        suites: &["trixie-backports"],
        package: "linux-image-7.2.12+deb13-cloud-amd64",
        version: "7.2.12-1~bpo13+1",
        may_lack: &[],
        may_not_make: &[],
    },
    Kernel {
        arch: Arch::Arm64,
        series: "6.1",
        suites: &["bookworm", "bookworm-security"],
        package: "linux-image-6.1.0-56-cloud-arm64",
        version: "6.1.192-2",
        // Trampolines attach by direct calls of ftrace, which arm64 has since 6.4.
        may_lack: &["fentry"],
        may_not_make: &[NO_RUNC],
    },
    Kernel {
        arch: Arch::Arm64,
        series: "7.2",
        suites: &["trixie-backports"],
        package: "linux-image-7.2.12+deb13-cloud-arm64",
        version: "7.2.12-1~bpo13+1",
        may_lack: &[],
        may_not_make: &[NO_RUNC],
    },
];

impl Kernel {
    /// How output names it. The kernels of the first processor go by their series.
    pub(crate) fn name(&self) -> String {
        match self.arch {
            Arch::X86_64 => self.series.to_owned(),
            Arch::Arm64 => format!("{} {}", self.arch.name(), self.series),
        }
    }

    /// The name of its folder in the cache, and under the target folder.
    pub(crate) fn folder_name(&self) -> String {
        self.name().replace(' ', "-")
    }

    /// What the origin of a cached kernel starts with.
    pub(super) fn pin(&self) -> String {
        format!("pinned {} {}", self.package, self.version)
    }
}

#[cfg(test)]
mod tests {
    use xtask::scenario;

    use super::*;

    #[test]
    fn every_case_that_a_kernel_cannot_make_is_a_scenario_and_stands_there_once() {
        for kernel in KERNELS {
            let lacks = kernel.may_not_make.iter();
            let mut cases: Vec<&str> = lacks.flat_map(|lack| lack.cases).copied().collect();
            for case in &cases {
                let known = scenario::all().any(|scenario| scenario.name == *case)
                    || NO_RUNC.cases.contains(case);
                assert!(known, "{}: there is no scenario {case}", kernel.name());
            }
            let count = cases.len();
            cases.sort_unstable();
            cases.dedup();
            assert_eq!(cases.len(), count, "{}", kernel.name());
        }
    }
}
