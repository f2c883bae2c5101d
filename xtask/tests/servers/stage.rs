//! What every case has: a namespace, an agent in it, a folder, and a judgement of leaks.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Completion, Failed, Trial};
use nix::unistd::geteuid;
use serde_json::Value;
use xtask::leaked::Leaked;
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::Net;
use xtask::watching::{CENSUS_CEILING, Watching, findings, make_room};

use crate::leak_truth::{Expected, Resident, agrees, is_of, output, shows_the_same};

/// One case: what it found, if that is worth a line, or why it is skipped.
pub(crate) type Case = fn(&Stage) -> Result<Completion>;

/// The namespace that the thread of the case is in, and what it needs there.
pub(crate) struct Stage {
    pub(crate) net: Net,
    pub(crate) agent: PathBuf,
    /// Empty at first.
    pub(crate) folder: PathBuf,
    _resident: Resident,
}

/// A case with a name.
pub(crate) fn trial(name: &'static str, case: Case) -> Trial {
    Trial::ignorable_test(name, move || {
        let Some(agent) = env::var_os("TCP_OBSERVER_BIN") else {
            let why = "TCP_OBSERVER_BIN is not set; run `cargo xtask test`";
            return Ok(Completion::ignored_with(why));
        };
        if !geteuid().is_root() {
            return Ok(Completion::ignored_with("needs root"));
        }
        let stage = Stage::new(name, agent.into());
        let done = stage.and_then(|stage| case(&stage));
        done.map_err(|error| Failed::from(format!("{error:#}")))
    })
}

impl Stage {
    fn new(name: &str, agent: PathBuf) -> Result<Self> {
        let place = env::var_os("SERVER_TEST_FOLDER").map_or_else(env::temp_dir, PathBuf::from);
        let folder = place.join(format!("servers-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let net = Net::enter()?;
        make_room(&net)?;
        Ok(Self {
            net,
            agent,
            folder,
            _resident: Resident::start()?,
        })
    }

    /// Waits for the one finding of this namespace, and holds it against what is true: its age
    /// to a second. `leaks` and `ss` must show the same.
    pub(crate) fn told(&self, watching: &Watching, truth: &Leaked) -> Result<()> {
        let page = wait_for("the finding", CENSUS_CEILING, || {
            let page = watching.next()?;
            let whole = findings(&page, &self.net)?.iter().any(|it| {
                let count = it.get("count").and_then(Value::as_u64);
                count == u64::try_from(truth.sockets.len()).ok()
            });
            Ok(whole.then_some(page))
        })?;
        let found = findings(&page, &self.net)?;
        let [finding] = found[..] else {
            anyhow::bail!("not one finding: {page:#}")
        };
        ensure!(is_of(finding, truth.service), "service: {finding:#}");
        let expected = Expected::at(&page, truth, 1.0, Some(false))?;
        agrees(finding, truth, &expected).with_context(|| format!("{finding:#}\n{truth:#?}"))?;
        self.same_as_ss(truth)
    }

    /// `tcp-observer leaks` and `ss -tanp state close-wait` show the same sockets and holders.
    fn same_as_ss(&self, truth: &Leaked) -> Result<()> {
        let mut leaks = Command::new(&self.agent);
        let words = ["leaks", "--json", "--partial-ok", "--after", "1s"];
        let told = output(leaks.args(words))?;
        let page: Value = serde_json::from_slice(&told.stdout).context("leaks told no JSON")?;
        let leaks = page.get("leaks").and_then(Value::as_array);
        let mut ours = BTreeSet::new();
        for leak in leaks.context("no leaks")? {
            if leak.get("netns").and_then(Value::as_u64) != Some(self.net.inode) {
                continue;
            }
            for socket in leak
                .get("sockets")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let end = |key: &str| socket.get(key).and_then(Value::as_str).unwrap_or("?");
                ours.insert(format!("{} {}", end("local"), end("peer")));
            }
        }
        let ss = String::from_utf8(close_wait_of_ss()?)?;
        shows_the_same(&ss, &ours, &[truth])
    }

    /// Nothing is told of this namespace by the next census.
    pub(crate) fn quiet(&self, watching: &Watching) -> Result<()> {
        let page = watching.next()?;
        ensure!(
            findings(&page, &self.net)?.is_empty(),
            "still told: {page:#}"
        );
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What a failed case leaves is in its message.
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// What `ss` shows of this namespace.
pub(crate) fn close_wait_of_ss() -> Result<Vec<u8>> {
    let told = output(Command::new("ss").args(["-tanpH", "state", "close-wait"]))?;
    ensure!(told.status.success(), "ss ended with {}", told.status);
    Ok(told.stdout)
}

/// A time that is long for a step of a program and short for a test.
pub(crate) const MOMENT: Duration = Duration::from_millis(200);
