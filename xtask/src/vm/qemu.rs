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
use crate::arch::Arch;
use crate::stopwatch::Stopwatch;
use crate::{command, place};

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Emulation,
    /// Emulation of one processor, the guest's clock being a count of its instructions.
    Counting,
}

/// One thread for both of a guest's processors: with one for each, guests of 6.12, 6.18 and 7.2
/// died now and then (an `int3` of text patching that was already taken back, flags that hold a
/// part of RAX after `cmpxchg16b`, user registers that are all zero).
/// Two guests side by side, each with one thread, take no longer than one after the other.
const EMULATION: [&str; 2] = ["-accel", "tcg,thread=single"];

/// A nanosecond of the guest passes with each instruction, and none otherwise: where it would
/// sleep, the clock leaps to what it waits for.
const COUNTING: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// All that the emulator has but `cmpxchg16b`, after which a guest was seen with a part of RAX in
/// its flags, and pages of five levels. The kernels that are tested need neither.
const CPU: &str = "max,cx16=off,la57=off";

impl Accelerator {
    /// How many processors a guest has. What one of several executes while another waits for its
    /// turn would count for both.
    fn of_a_guest(self) -> usize {
        match self {
            Self::Kvm | Self::Emulation => 2,
            Self::Counting => 1,
        }
    }

    /// How many of the host's processors a guest keeps busy.
    pub(super) fn processors(self) -> usize {
        match self {
            Self::Kvm => 2,
            Self::Emulation | Self::Counting => 1,
        }
    }
}

/// A guest reaches its tests within a few seconds, on a busy machine within a minute.
const SILENCE_AT_FIRST: Duration = Duration::from_mins(2);

/// Every wait of a test has a ceiling, and none is as long as this.
const SILENCE: Duration = Duration::from_mins(5);

/// One guest to boot.
pub(crate) struct Machine<'a> {
    pub(crate) arch: Arch,
    pub(crate) vmlinuz: &'a Path,
    pub(crate) initramfs: &'a Path,
    pub(crate) console: &'a Path,
    pub(crate) results: &'a Path,
    pub(crate) accelerator: Accelerator,
    pub(crate) limit: Duration,
    /// MiB.
    pub(crate) memory: u32,
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
        let (mut told, mut told_at) = (0, watch.elapsed());
        while watch.elapsed() < self.limit {
            if let Some(status) = running.0.try_wait()? {
                if status.success() {
                    return Ok(Boot::PoweredOff);
                }
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("`{line}` failed ({status}): {}", said.trim());
            }
            let length = fs::metadata(self.results).map_or(0, |it| it.len());
            if length != told {
                (told, told_at) = (length, watch.elapsed());
            }
            let most = if told > 0 { SILENCE } else { SILENCE_AT_FIRST };
            if watch.elapsed().saturating_sub(told_at) > most {
                return Ok(Boot::Silent);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Boot::OverLimit)
    }

    fn command(&self) -> Command {
        let mut qemu = Command::new(self.arch.emulator());
        match (self.arch, self.accelerator) {
            (Arch::X86_64, Accelerator::Kvm) => qemu.args(["-accel", "kvm", "-cpu", "host"]),
            (Arch::X86_64, Accelerator::Emulation | Accelerator::Counting) => {
                qemu.args(EMULATION).args(["-cpu", CPU])
            }
            (Arch::Arm64, Accelerator::Kvm) => qemu
                .args(["-M", "virt,gic-version=host", "-cpu", "host"])
                .args(["-accel", "kvm"]),
            // The architecture's own pointer authentication costs most of the time.
            (Arch::Arm64, Accelerator::Emulation | Accelerator::Counting) => qemu
                .args(["-M", "virt", "-cpu", "max,pauth-impdef=on"])
                .args(EMULATION),
        };
        if self.accelerator == Accelerator::Counting {
            qemu.args(COUNTING);
        }
        let processors = self.accelerator.of_a_guest().to_string();
        qemu.arg("-m").arg(self.memory.to_string());
        qemu.args(["-smp", &processors, "-display", "none", "-monitor", "none"])
            // A panic reboots at once, and a reboot ends QEMU.
            .args(["-no-reboot", "-nic", "none"])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .arg("-chardev")
            .arg(format!(
                "file,id=report,path={}",
                self.results.display().to_string().replace(',', ",,")
            ))
            .args(self.second_port())
            .arg("-kernel")
            .arg(self.vmlinuz)
            .arg("-initrd")
            .arg(self.initramfs)
            .arg("-append")
            .arg(format!(
                "console={} quiet loglevel=4 panic=-1",
                self.console_port()
            ));
        qemu
    }

    fn console_port(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "ttyS0",
            Arch::Arm64 => "ttyAMA0",
        }
    }

    /// The board of arm64 has one serial port, so that the other is a PCI card.
    fn second_port(&self) -> [&'static str; 2] {
        match self.arch {
            Arch::X86_64 => ["-serial", "chardev:report"],
            Arch::Arm64 => ["-device", "pci-serial,chardev=report"],
        }
    }
}

/// What a guest calls the second serial port.
pub(crate) fn report_port(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "ttyS1",
        Arch::Arm64 => "ttyS0",
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
pub(crate) fn accelerator(arch: Arch, vmlinuz: &Path) -> Result<Accelerator> {
    if !arch.is_host() {
        return Ok(Accelerator::Emulation);
    }
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
            let works = kvm_boots(arch, vmlinuz)?;
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

fn kvm_boots(arch: Arch, vmlinuz: &Path) -> Result<bool> {
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
        arch,
        vmlinuz,
        initramfs: &file("initramfs"),
        console: &file("console.log"),
        results: &file("results.jsonl"),
        accelerator: Accelerator::Kvm,
        limit: Duration::from_secs(15),
        memory: 512,
    }
    .boot();
    Ok(matches!(boot, Ok(Boot::PoweredOff)))
}
