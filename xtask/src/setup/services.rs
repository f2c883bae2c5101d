//! Servers that are installed to be tested with are not started as services of this host.
//! Takes Debian's way to forbid that (`invoke-rc.d(8)`), gives it back when dropped; leaves one
//! that an administrator has set as it is.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Asked by the scripts of packages before they start a service; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// For as long as it lives, no package starts a service.
pub(super) struct Stopped;

/// Forbids it; `None` where a policy stands already.
pub(super) fn keep_stopped() -> Result<Option<Stopped>> {
    let mut file = match File::create_new(Path::new(POLICY)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error).context(format!("could not create {POLICY}")),
    };
    let stopped = Stopped;
    file.write_all(b"#!/bin/sh\nexit 101\n")?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(Some(stopped))
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("setup: could not remove {POLICY}: {error}");
        }
    }
}
