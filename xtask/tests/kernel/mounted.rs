//! A leak in a network namespace that no process is in.

use std::path::{Path, PathBuf};
use std::{env, fs, process, thread};

use anyhow::{Context as _, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use xtask::leaked;
use xtask::scenario::net::Net;

use crate::leak_truth::agrees;
use crate::leaks::{AFTER, SLACK, aged_by_now, of, report};
use crate::results::Outcome;

/// Only a mount leads to the namespace: no process is in it.
pub(crate) fn found(agent: &Path) -> Result<Outcome> {
    let net = Net::enter()?;
    let mounted = Mounted::make()?;
    let one = leaked::ALL.first().context("there is one")?;
    let leaked = one.make(&net)?;
    // The agent is in another one.
    let _elsewhere = Net::enter_plain()?;
    thread::sleep(AFTER + SLACK);
    let page = report(agent, &["--after", "2s"])?.page;
    let leaks = of(&page, &net)?;
    let [leak] = leaks[..] else {
        bail!("not one leak: {page}")
    };
    agrees(leak, &leaked, &aged_by_now(&leaked))
        .with_context(|| format!("{leak:#}\n{leaked:#?}"))?;
    drop(mounted);
    let page = report(agent, &["--after", "2s"])?.page;
    ensure!(of(&page, &net)?.is_empty(), "nothing leads there: {page}");
    Ok(Outcome::Passed)
}

/// The network namespace of the thread that made it, mounted on a file.
struct Mounted(PathBuf);

impl Mounted {
    fn make() -> Result<Self> {
        let file = env::temp_dir().join(format!("netns-{}", process::id()));
        fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        let mounted = Self(file);
        let (from, no) = ("/proc/thread-self/ns/net", None::<&str>);
        mount(Some(from), &mounted.0, no, MsFlags::MS_BIND, no).context("cannot mount it")?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What was not mounted cannot be unmounted.
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap_or_default();
        drop(fs::remove_file(&self.0));
    }
}
