//! How TIME_WAIT ends, as the agent counts it. A verdict does not say: it is final when TIME_WAIT
//! begins.

use std::path::Path;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, setns};
use xtask::demo::{metrics, sum};
use xtask::scenario::clock::{CEILING, wait_for};
use xtask::scenario::{self, net::Net, net::State};
use xtask::watching::Watching;

use crate::again::twice;
use crate::apart::named;
use crate::results::Results;
use crate::session::Session;

/// Performed one after the other; only the last turns knobs.
const PERFORMED: [&str; 4] = [
    "reset_in_time_wait",
    "destroyed_time_wait",
    "time_wait_reused_by_syn",
    "time_wait_reused_by_connect",
];

/// One case for each backend that sees minisocks.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let seeing = session.backends.iter().filter(|it| **it != "tracepoint");
    seeing
        .map(|backend| twice(session, results, "time_waits_end", Some(*backend), counted))
        .collect()
}

fn counted(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let only = net.inode.to_string();
    // What asks the agent is in another namespace, which the agent does not follow.
    let _asks = Net::enter_plain()?;
    let watching = Watching::with(agent, &["--backend", backend, "--filter.netns", &only])?;
    watching.next()?;
    let destroyed = named("time-waits", || {
        setns(net.file()?, CloneFlags::CLONE_NEWNET)?;
        perform(&net)
    })?;
    let wanted = [
        ("reset", 1),
        ("reused", 2),
        ("destroyed", u64::from(destroyed)),
        ("expired", 0),
        ("other", 0),
    ];
    let mut told = String::new();
    wait_for("how TIME_WAIT ended", CEILING, || {
        let page = metrics(watching.address)?;
        let count = |how| {
            let series = format!("tcp_observer_time_wait_ended_total{{how=\"{how}\"}}");
            sum(&page, &series).unwrap_or(0)
        };
        let counts = wanted.map(|(how, _)| (how, count(how)));
        told = format!("{counts:?}");
        Ok((counts == wanted).then_some(()))
    })
    .with_context(|| format!("told {told}, not {wanted:?}"))?;
    drop(watching.agent.stop()?);
    Ok(())
}

/// Gives whether the kernel destroyed the one that it was asked to: older ones refuse.
fn perform(net: &Net) -> Result<bool> {
    let mut destroyed = false;
    for name in PERFORMED {
        let scenario = scenario::all().find(|scenario| scenario.name == name);
        let ends = scenario
            .with_context(|| format!("no scenario {name}"))?
            .perform_in(net)?;
        let client = ends.first().context("no end")?;
        let (local, peer) = client.local.zip(client.peer).context("no addresses")?;
        if name == "destroyed_time_wait" {
            destroyed = !net.holds(local, peer, State::TimeWait)?;
        }
    }
    Ok(destroyed)
}
