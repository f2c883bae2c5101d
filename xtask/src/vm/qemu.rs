//! One boot of a guest under QEMU.
//! Takes a kernel, an initramfs and two files for the serial ports, gives how
//! the guest ended. It never outlives its caller: the machine is killed when the
//! wall limit passes or the caller gives up.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::report::Boot;
use crate::stopwatch::Stopwatch;
use crate::{command, place};

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Emulation,
}

/// One guest to boot.
pub(crate) struct Machine<'a> {
    pub(crate) vmlinuz: &'a Path,
    pub(crate) initramfs: &'a Path,
    pub(crate) console: &'a Path,
    pub(crate) results: &'a Path,
    pub(crate) accelerator: Accelerator,
    pub(crate) limit: Duration,
}

impl Machine<'_> {
    pub(crate) fn boot(&self) -> Result<Boot> {
        let log = self.console.with_file_name("qemu.log");
        let errors = fs::File::create(&log)
            .with_context(|| format!("could not create {}", log.display()))?;
        let mut qemu = self.command();
        qemu.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let line = command::line(&qemu);
        let mut running = Running(
            qemu.spawn()
                .with_context(|| format!("could not start `{line}`"))?,
        );
        let watch = Stopwatch::start();
        while watch.elapsed() < self.limit {
            if let Some(status) = running.0.try_wait()? {
                if status.success() {
                    return Ok(Boot::PoweredOff);
                }
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("`{line}` failed ({status}): {}", said.trim());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Boot::OverLimit)
    }

    fn command(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        match self.accelerator {
            Accelerator::Kvm => qemu.args(["-accel", "kvm", "-cpu", "host"]),
            Accelerator::Emulation => qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
        };
        qemu.args([
            "-m", "1536", "-smp", "2", "-display", "none", "-monitor", "none",
        ])
        // A panic reboots at once, and a reboot ends QEMU.
        .args(["-no-reboot", "-nic", "none"])
        .arg("-serial")
        .arg(format!("file:{}", self.console.display()))
        .arg("-serial")
        .arg(format!("file:{}", self.results.display()))
        .arg("-kernel")
        .arg(self.vmlinuz)
        .arg("-initrd")
        .arg(self.initramfs)
        .args(["-append", "console=ttyS0 quiet loglevel=4 panic=-1"]);
        qemu
    }
}

/// QEMU's process, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already in the ordinary case, and then there is nothing
        // to kill or to wait for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// KVM where a guest really boots under it, else emulation. A machine can have
/// `/dev/kvm` and yet not run a stock kernel on it, so it is tried once per boot
/// of the host.
pub(crate) fn accelerator(vmlinuz: &Path) -> Result<Accelerator> {
    if OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Emulation);
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let note = place::cache()?.join("kvm");
    let known = fs::read_to_string(&note).unwrap_or_default();
    let works = match known.trim().split_once(' ') {
        Some((id, verdict)) if id == boot_id.trim() => verdict == "works",
        _ => {
            let works = kvm_boots(vmlinuz)?;
            let verdict = if works {
                "works"
            } else {
                "does not boot a guest"
            };
            println!("kvm: {verdict}");
            fs::write(&note, format!("{} {verdict}\n", boot_id.trim()))
                .with_context(|| format!("could not write {}", note.display()))?;
            works
        }
    };
    Ok(if works {
        Accelerator::Kvm
    } else {
        Accelerator::Emulation
    })
}

fn kvm_boots(vmlinuz: &Path) -> Result<bool> {
    let folder = place::target().join("vm/kvm");
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let busybox = command::find("busybox").context("found no busybox")?;
    let mut archive = Archive::default();
    archive.file("bin/busybox", 0o755, &fs::read(busybox)?);
    archive.file(
        "init",
        0o755,
        b"#!/bin/busybox sh\n/bin/busybox poweroff -f\n",
    );
    let file = |name: &str| -> PathBuf { folder.join(name) };
    fs::write(file("initramfs"), archive.finish())?;
    let boot = Machine {
        vmlinuz,
        initramfs: &file("initramfs"),
        console: &file("console.log"),
        results: &file("results.jsonl"),
        accelerator: Accelerator::Kvm,
        limit: Duration::from_secs(15),
    }
    .boot();
    Ok(matches!(boot, Ok(Boot::PoweredOff)))
}
