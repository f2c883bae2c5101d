//! Leaks in places of their own: in another network namespace than the agent's, and in a
//! container that runc makes, whose id is told.

use std::path::Path;
use std::{env, fs, process};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::judge::Skip;
use xtask::leaked::{self, Leak};
use xtask::scenario::net::Net;
use xtask::served::container::Container;

use crate::apart::Apart;
use crate::cases::{of_best, trial};
use crate::leak_truth::Resident;
use crate::leaks::one_shot_and_ss_agree;
use crate::results::{Outcome, Results};
use crate::session::Session;
use crate::watched::{Watching, check, make_room, of};

/// Both.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    vec![
        of_best(session, results, "leaks_elsewhere", elsewhere),
        container(session, results),
    ]
}

/// The agent is in another network namespace.
fn elsewhere(agent: &Path, backend: &str) -> Result<()> {
    let apart = Apart::start(agent, backend, ("tcp_tw_reuse", "0"))?;
    // The second in a pid namespace and a cgroup as of a container.
    let named = |it: &&Leak| ["one_process", "container"].contains(&it.name);
    for leak in leaked::ALL.iter().filter(named) {
        let leaked = apart.inside("leaker", || leak.make(&apart.net))?;
        check(&apart.watching, &apart.net, &[(&leaked, Some(false))])?;
        let agree = || one_shot_and_ss_agree(agent, &apart.net, &[&leaked]);
        apart.inside("leaker", agree)?;
        leaked.end();
        over(&apart.watching, &apart.net)?;
    }
    Ok(())
}

/// Natively, and in a VM whose root is one that runc can leave.
fn container(session: &'static Session, results: &'static Results) -> Trial {
    let name = "leaks_container_of_runc".to_owned();
    trial(session, results, name, || {
        if !Container::is_possible() {
            let why = "there is no runc here".to_owned();
            return Ok(Outcome::Skipped(Skip::NotApplicable(why)));
        }
        let path = session.agent.clone()?;
        let backend = session.best().ok_or("this kernel allows no backend")?;
        let folder = env::temp_dir().join(format!("container-{}", process::id()));
        let done = contained(&path, backend, &folder);
        // What a container that failed leaves is in its message.
        drop(fs::remove_dir_all(&folder));
        done.map_err(|error| format!("{error:#}"))?;
        Ok(Outcome::Passed)
    })
}

fn contained(agent: &Path, backend: &str, folder: &Path) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    make_room(&net)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let container = Container::start(folder, &net)?;
    let watching = Watching::start(agent, &["--backend", backend])?;
    let leaked = container.leak(&net)?;
    check(&watching, &net, &[(&leaked, Some(false))])?;
    one_shot_and_ss_agree(agent, &net, &[&leaked])?;
    container.end()?;
    over(&watching, &net)
}

/// Nothing is told any more.
fn over(watching: &Watching, net: &Net) -> Result<()> {
    let after = watching.next()?;
    ensure!(of(&after, net)?.is_empty(), "it is over: {after:#}");
    Ok(())
}
