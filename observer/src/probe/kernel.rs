//! What this kernel is and what it lets this process do.
//!
//! Takes what the kernel says about itself under `/sys` and `/proc`; gives [`Facts`]. Decides
//! nothing by the release number.

use std::fs;
use std::io;
use std::path::Path;

use aya::maps::MapType;
use aya::sys::is_map_supported;
use caps::{CapSet, Capability};

use super::preemption;

/// Where the kernel shows its own BTF.
pub(super) const BTF: &str = "/sys/kernel/btf/vmlinux";

/// What was found out about the running kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `uname -r`, for display only.
    pub release: String,
    /// Whether `/sys/kernel/btf/vmlinux` exists.
    pub btf: bool,
    /// The lockdown mode in force; `None` where it cannot be read.
    pub lockdown: Option<String>,
    /// Whether the kernel has kprobes that perf can make.
    pub kprobes: bool,
    /// Whether the kernel takes the CPU from a task in the midst of its own code, or may.
    pub preempts: bool,
    /// Whether the kernel has BPF ring buffers; `None` where this process may not ask.
    pub ring_buffer: Option<bool>,
    /// The capabilities that the probes need and this process lacks.
    pub missing_capabilities: Vec<&'static str>,
}

/// Looks at the running kernel.
pub(super) fn facts() -> Facts {
    let missing_capabilities = missing_capabilities();
    Facts {
        release: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        btf: Path::new(BTF).exists(),
        lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
            .ok()
            .and_then(|modes| mode_in_force(&modes)),
        kprobes: Path::new("/sys/bus/event_source/devices/kprobe/type").exists(),
        preempts: preemption::preempts(),
        ring_buffer: missing_capabilities
            .is_empty()
            .then(|| is_map_supported(MapType::RingBuf).ok())
            .flatten(),
        missing_capabilities,
    }
}

/// Reads vmlinux BTF as bytes.
pub(super) fn btf() -> io::Result<Vec<u8>> {
    fs::read(BTF)
}

/// `CAP_SYS_ADMIN` stands for both of the finer ones.
fn missing_capabilities() -> Vec<&'static str> {
    let has = |capability| matches!(caps::has_cap(None, CapSet::Effective, capability), Ok(true));
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }
    let needed = [
        (Capability::CAP_BPF, "CAP_BPF"),
        (Capability::CAP_PERFMON, "CAP_PERFMON"),
    ];
    needed
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect()
}

/// The mode in brackets: `none [integrity] confidentiality`.
fn mode_in_force(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

#[cfg(test)]
impl Facts {
    /// A kernel that lacks nothing, seen by a process that may do everything.
    pub(super) fn capable() -> Self {
        Self {
            release: "6.1.0".to_owned(),
            btf: true,
            lockdown: Some("none".to_owned()),
            kprobes: true,
            preempts: true,
            ring_buffer: Some(true),
            missing_capabilities: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mode_in_force;

    #[test]
    fn the_lockdown_mode_in_force_is_the_one_in_brackets() {
        let mode = mode_in_force("none [integrity] confidentiality\n");
        assert_eq!(mode.as_deref(), Some("integrity"));
        assert_eq!(mode_in_force("none"), None);
    }
}
