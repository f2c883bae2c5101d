//! tracefs, which the tools of others read.
//!
//! Takes a machine; mounts it where it is not, and unmounts that when it is dropped.

use std::fs;

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

const TRACING: &str = "/sys/kernel/tracing";

/// Mounted by this process.
#[derive(Debug)]
pub(super) struct Mounted;

/// Mounts it; `None` where it is already.
pub(super) fn tracing() -> Result<Option<Mounted>> {
    if fs::exists(format!("{TRACING}/events"))? {
        return Ok(None);
    }
    let (kind, no) = (Some("tracefs"), None::<&str>);
    mount(kind, TRACING, kind, MsFlags::empty(), no)
        .with_context(|| format!("cannot mount {TRACING}"))?;
    Ok(Some(Mounted))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A tool that has just ended may still hold it for a moment.
        umount2(TRACING, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}
