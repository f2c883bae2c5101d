//! An agent that may take only so much of a CPU: it leaves out details before verdicts, says which,
//! and takes them up again.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use libtest_mimic::Trial;
use xtask::demo::{metrics, sum};
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::Net;
use xtask::scenario::pair::{Pair, close, read_end};
use xtask::watching::Watching;

use crate::cases::of_best;
use crate::leak_truth::Resident;
use crate::results::Results;
use crate::session::Session;

/// More than an agent takes that is asked now and then, less than one takes that is told of as many
/// connections as can be made.
const BUDGET: &str = "2%";

/// What waits in a larger one takes an agent that rests minutes.
const RING: &str = "1MiB";

/// Until it leaves something out: it judges each second. An emulated machine is slow.
const PRESSED: Duration = Duration::from_mins(2);

/// Until all is back: ten calm seconds for each of three details, and before that what was used
/// ahead of time.
const CALM: Duration = Duration::from_mins(3);

/// Ends of so many connections of which some machine's kernel shows the probes no more than a part,
/// and does not say so.
const HIDDEN: u64 = 10;

/// Between two looks, which cost the agent time too.
const LOOK: Duration = Duration::from_secs(5);

/// With the best backend.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    vec![of_best(session, results, "cpu_budget", kept)]
}

fn kept(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    // As many as come in a minute: one that finds no room ends otherwise.
    net.set("tcp_max_tw_buckets", "1000000")?;
    let _resident = Resident::start()?;
    let netns = net.inode.to_string();
    let own = ["--filter.netns", &netns, "--backend", backend];
    let thrifty = ["--cpu-budget", BUDGET, "--ring-size", RING];
    let watching = Watching::with(agent, &[&own[..], &thrifty].concat())?;
    let looks = AtomicU64::new(0);
    let page = || {
        looks.fetch_add(1, Ordering::Relaxed);
        metrics(watching.address)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let before = sum(&page()?, "tcp_observer_connections_ended_total")?;
    let enough = AtomicBool::new(false);
    let made = thread::scope(|scope| -> Result<u64> {
        let load = scope.spawn(|| connect_until(&net, &listener, &enough));
        let pressed = wait_for("it leaves out births", PRESSED, || {
            thread::sleep(LOOK);
            Ok(sheds(&page()?, "births").then_some(()))
        });
        enough.store(true, Ordering::Relaxed);
        let made = load
            .join()
            .map_err(|_panic| anyhow!("the load panicked"))??;
        pressed.map(|()| made)
    })?;
    let text = page()?;
    ensure!(sheds(&text, "timelines"), "births before timelines: {text}");
    wait_for("all is back", CALM, || {
        thread::sleep(LOOK);
        Ok((!sheds(&page()?, "timelines")).then_some(()))
    })?;
    let text = page()?;
    let ended = sum(&text, "tcp_observer_connections_ended_total")? - before;
    let lost = sum(&text, "tcp_observer_events_lost_total")?;
    // Each that ended without a verdict lost an event at least, and to look is a connection too.
    let most = 2 * (made + looks.load(Ordering::Relaxed));
    ensure!(
        ended <= most && ended + lost >= 2 * made,
        "{ended} ends of {made} connections, {lost} events lost"
    );
    let odd: Vec<&str> = text.lines().filter(|line| is_odd(line)).collect();
    let count = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    let ends: u64 = odd.iter().copied().filter_map(count).sum();
    ensure!(lost > 0 || ends <= HIDDEN, "all were closed: {odd:#?}");
    let partial = "tcp_observer_verdicts_total{confidence=\"partial\"} 0\n";
    ensure!(!text.contains(partial), "none is partial: {text}");
    Ok(())
}

/// Whether it counts ends that no close() made.
fn is_odd(line: &str) -> bool {
    let closed = |ending| line.contains(&format!("ending=\"{ending}\""));
    line.starts_with("tcp_observer_connections_ended_total{")
        && !(closed("active_close") || closed("passive_close"))
        && !line.ends_with(" 0")
}

/// Whether this detail is left out.
fn sheds(metrics: &str, detail: &str) -> bool {
    metrics.contains(&format!("tcp_observer_shed{{detail=\"{detail}\"}} 1\n"))
}

/// As many connections as can be made; gives how many.
fn connect_until(net: &Net, listener: &TcpListener, enough: &AtomicBool) -> Result<u64> {
    let to = listener.local_addr()?;
    let namespace = net.file()?;
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
    let mut made = 0;
    while !enough.load(Ordering::Relaxed) {
        let pair = Pair::through(listener, to)?;
        close(pair.client);
        read_end(&pair.server)?;
        close(pair.server);
        made += 1;
    }
    Ok(made)
}
