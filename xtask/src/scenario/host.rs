//! Settings of the whole host.
//!
//! Takes a name under `net.ipv4` that only the first namespace has; gives a [`HostSetting`]
//! that puts the old value back. Never moves the calling thread out of its namespace.

use std::fs::{self, File};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

/// A value that holds until this is dropped.
#[derive(Debug)]
pub(crate) struct HostSetting {
    name: &'static str,
    before: String,
}

impl HostSetting {
    /// Sets `net.ipv4.NAME` of the host.
    pub(crate) fn set(name: &'static str, value: &str) -> Result<Self> {
        let before = exchange(name, value)?;
        Ok(Self { name, before })
    }
}

impl Drop for HostSetting {
    fn drop(&mut self) {
        exchange(self.name, &self.before).ok();
    }
}

/// Sets it in a thread of its own, since /proc/sys/net shows the namespace of who looks.
fn exchange(name: &'static str, value: &str) -> Result<String> {
    let value = value.to_owned();
    thread::spawn(move || {
        let first = File::open("/proc/1/ns/net").context("cannot open the first namespace")?;
        setns(first, CloneFlags::CLONE_NEWNET).context("cannot enter the first namespace")?;
        let path = format!("/proc/sys/net/ipv4/{name}");
        let before = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        fs::write(&path, &value).with_context(|| format!("cannot set {path} to {value}"))?;
        Ok(before)
    })
    .join()
    .map_err(|_panic| anyhow!("the thread that sets net.ipv4.{name} panicked"))?
}
