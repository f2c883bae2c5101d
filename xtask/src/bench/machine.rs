//! The machine that was measured on, in a line.
//!
//! Takes `/proc`; gives words. Names nothing that tells one machine of its kind from another.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::utsname::uname;

/// Kernel, processor, memory, and how this kernel accounts for interrupts.
pub(super) fn described() -> Result<String> {
    let uname = uname()?;
    let release = uname.release().to_string_lossy().into_owned();
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = value(&memory, "MemTotal")
        .and_then(|it| it.strip_suffix(" kB")?.parse().ok())
        .context("no MemTotal")?;
    let virtual_ = value(&processors, "flags").is_some_and(|it| it.contains(" hypervisor"));
    Ok(format!(
        "Linux {release}, {}, {cores} CPUs{}, {} GiB of memory, {}",
        value(&processors, "model name").unwrap_or("an unnamed processor"),
        if virtual_ {
            " of a virtual machine"
        } else {
            ""
        },
        (kib + (1 << 19)) >> 20,
        accounting(config(&release).as_deref())
    ))
}

/// `name : value`, the first.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// How the kernel was configured, as far as it can be known.
fn config(release: &str) -> Option<String> {
    let installed = fs::read_to_string(format!("/boot/config-{release}")).ok();
    installed.or_else(|| {
        let output = Command::new("zcat").arg("/proc/config.gz").output().ok()?;
        let text = output.status.success().then_some(output.stdout)?;
        String::from_utf8(text).ok()
    })
}

fn accounting(config: Option<&str>) -> &'static str {
    match config {
        None => "accounting of interrupts unknown",
        Some(text) if text.contains("\nCONFIG_IRQ_TIME_ACCOUNTING=y") => {
            "interrupts accounted apart (costs are too low)"
        }
        Some(_) => "interrupts accounted to whom they interrupt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounting_is_read_from_the_configuration() {
        let of = |text: &str| accounting(Some(text));
        assert!(
            of("A=y\nCONFIG_IRQ_TIME_ACCOUNTING=y\n").starts_with("interrupts accounted apart")
        );
        assert!(of("A=y\n# CONFIG_IRQ_TIME_ACCOUNTING is not set\n").ends_with("interrupt"));
        assert!(accounting(None).ends_with("unknown"));
    }

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        assert_eq!(
            value("model\t: 85\nmodel name\t: A b\n", "model name"),
            Some("A b")
        );
        assert_eq!(value("", "model name"), None);
    }
}
