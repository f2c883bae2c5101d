//! Where things are: the repository, its target folder, the cache.
//! Takes the environment, gives paths, creates nothing.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The top folder of the repository.
pub(crate) fn repository() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// What outlives a checkout (the kernels of the VMs): `TCP_OBSERVER_CACHE`, or
/// `tcp-observer` under the user's cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("TCP_OBSERVER_CACHE") {
        return Ok(PathBuf::from(chosen));
    }
    let user = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("found no cache folder: set TCP_OBSERVER_CACHE to one")?;
    Ok(user.join("tcp-observer"))
}
