//! The agent's audit of a namespace in which connections end in many ways: both sides agree.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use xtask::audited::{Auditor, Line, Sum};
use xtask::judge::EQUAL;
use xtask::scenario::alive::{Opening, Waiting};
use xtask::scenario::{self, net::Net};

use crate::again::twice;
use crate::cases::Own;
use crate::coarser::unaccounted;
use crate::results::Results;
use crate::session::Session;

/// What is performed in the one namespace, one after the other; only the last turns a knob.
const PERFORMED: [&str; 12] = [
    "client_closes_first",
    "half_close",
    "unread_data",
    "unread_data_ipv6",
    "linger_zero",
    "linger_zero_after_fin",
    "data_after_close_minisock",
    "data_after_shutdown_both",
    "refused",
    "connect_given_up",
    "reset_of_a_request",
    "fin_wait2_expires",
];

/// Resets for a closed port among them, whose namespace is not told.
const RESETS_OF_NOWHERE: i64 = 2;

/// Requests among them that a RST dropped; no connection ends.
const DROPPED_REQUESTS: i64 = 1;

/// What an agent is told not to look at, what happens then, and what it is blind to.
const LEFT_OUT: [&str; 4] = ["--without", "reset_sent", "--without", "reset_replied"];
const UNSEEN: [&str; 2] = ["linger2_in_fin_wait2", "data_after_shutdown_both"];
const BLIND: [&str; 5] = [
    "OutRsts",
    "AttemptFails",
    "TCPAbortOnData",
    "TCPAbortOnMemory",
    "TCPAbortOnLinger",
];

/// Three cases a backend. Each has a second try: nothing can be told of an audit that did not see
/// everything, and a slow machine's own resets are counted too.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let parts: [(&str, Own); 3] = [
        ("audit", ended),
        ("audit::alive", alive),
        ("audit::blind", blind),
    ];
    let of_backend = |backend: &'static str| {
        parts.map(|(name, run)| twice(session, results, name, Some(backend), run))
    };
    let backends = session.backends.iter().copied();
    backends.flat_map(of_backend).collect()
}

fn ended(agent: &Path, backend: &str) -> Result<()> {
    let judge = |lines: &[Line]| agree(lines, backend);
    let nothing = |_: &Net| Ok(());
    let all = |net: &Net, ()| perform(net, &PERFORMED);
    audited(agent, &["--backend", backend], nothing, all, judge)
}

fn perform(net: &Net, names: &[&str]) -> Result<()> {
    for name in names {
        let scenario = scenario::all().find(|scenario| scenario.name == *name);
        let scenario = scenario.with_context(|| format!("no scenario {name}"))?;
        drop(scenario.perform_in(net)?);
    }
    Ok(())
}

/// What is counted for a connection that lives on is booked while it does; and for a minisock
/// that is older than the agent, when the kernel counts it.
fn alive(agent: &Path, backend: &str) -> Result<()> {
    let older = |net: &Net| counts_at_end()?.then(|| Waiting::start(net)).transpose();
    let live_on = |net: &Net, waiting: Option<Waiting>| {
        let opening = Opening::after_a_reset()?;
        waiting.as_ref().map_or(Ok(()), |it| it.run_out(net))?;
        opening.check(net)?;
        Ok((opening, waiting))
    };
    let judge = |lines: &[Line]| {
        let of = |name| line(lines, name);
        let resets = of("OutRsts")?;
        if !unaccounted(backend).contains(&"OutRsts") {
            ensure!(
                resets.1.kernel == Some(1) && resets.1.difference == Some(0),
                "{resets:?}"
            );
        }
        let (time_waits, sum) = of("TW")?;
        let ran_out = Some(i64::from(counts_at_end()?));
        ensure!(sum.kernel == ran_out, "{sum:?}");
        if time_waits.judged == Some(true) {
            ensure!(sum.observed == ran_out, "{sum:?}");
        }
        Ok(())
    };
    audited(agent, &["--backend", backend], older, live_on, judge)
}

/// What the probes in force do not see is said, and never a mismatch.
fn blind(agent: &Path, backend: &str) -> Result<()> {
    let nothing = |_: &Net| Ok(());
    let some = |net: &Net, ()| perform(net, &UNSEEN);
    let judge = |lines: &[Line]| {
        for name in BLIND {
            let (line, _) = line(lines, name)?;
            ensure!(
                line.judged == Some(false) && line.blind_to.is_some(),
                "{line:?}"
            );
        }
        // Late data is told in another way too, where the segment of a reset is seen.
        let (_, sum) = line(lines, "TCPAbortOnLinger")?;
        ensure!(sum.difference > Some(0), "it could be judged: {sum:?}");
        Ok(())
    };
    let options = [&["--backend", backend], &LEFT_OUT[..]].concat();
    audited(agent, &options, nothing, some, judge)
}

/// Where a minisock has the mark, the kernel counts it when its time has run out.
fn counts_at_end() -> Result<bool> {
    let btf = std::fs::read("/sys/kernel/btf/vmlinux")?;
    let name = b"\0tw_kill\0";
    Ok(btf.windows(name.len()).any(|window| window == name))
}

fn line<'a>(lines: &'a [Line], name: &str) -> Result<(&'a Line, Sum)> {
    let found = lines.iter().find(|line| line.counter == name);
    let line = found.with_context(|| format!("no counter {name}"))?;
    Ok((line, line.since_start.unwrap_or_default()))
}

/// Audits one namespace with an agent that starts after `before` and before `perform`; what both
/// give lives until the audit is judged. Nothing may be unexplained.
fn audited<A, B: Send>(
    agent: &Path,
    options: &[&str],
    before: impl FnOnce(&Net) -> Result<A> + Send,
    perform: impl FnOnce(&Net, A) -> Result<B> + Send,
    judge: impl FnOnce(&[Line]) -> Result<()>,
) -> Result<()> {
    let (send_netns, netns) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    thread::scope(move |scope| {
        let performing = scope.spawn(move || -> Result<(Net, B, BTreeMap<String, i64>)> {
            let net = Net::enter()?;
            let older = before(&net)?;
            send_netns.send(net.path())?;
            may_go.recv()?;
            let alive = perform(&net, older)?;
            let counters = net.counters()?;
            Ok((net, alive, counters))
        });
        let joined = |performing: ScopedJoinHandle<'_, _>| match performing.join() {
            Ok(performed) => performed,
            Err(_panic) => bail!("what was to be performed panicked"),
        };
        let Ok(netns) = netns.recv() else {
            return joined(performing).map(drop);
        };
        let auditor = Auditor::start(agent, &netns, options, nameless(&netns)?)?;
        go.send(()).context("the namespace is gone")?;
        let (_net, _alive, counters) = joined(performing)?;
        let lines = auditor.settled(&counters)?;
        let lost = auditor.lost()?;
        let judged = none_unexplained(&lines)
            .and_then(|()| judge(&lines))
            .and_then(|()| series_agree(&lines, &auditor));
        let stopped = auditor.stop()?;
        let silent = || -> Result<()> {
            let warned = stopped.errors.iter().find(|line| line.contains("observed"));
            ensure!(warned.is_none(), "it warned: {warned:?}");
            Ok(())
        };
        judged.and_then(|()| silent()).map_err(|error| match lost {
            0 => error,
            lost => error.context(format!("{lost} events were lost")),
        })
    })
}

fn none_unexplained(lines: &[Line]) -> Result<()> {
    let unexplained = |it: &&Line| it.since_start.unwrap_or_default().unexplained != 0;
    let odd = lines.iter().find(unexplained);
    ensure!(odd.is_none(), "unexplained: {odd:?}");
    Ok(())
}

/// A file for the agent's lines that goes with it.
fn nameless(netns: &str) -> Result<File> {
    let name = format!("audit{}", netns.replace('/', "-"));
    let path = env::temp_dir().join(name);
    let file = File::create(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn agree(lines: &[Line], backend: &str) -> Result<()> {
    for line in lines {
        let sum = line.since_start.unwrap_or_default();
        let name = line.counter.as_str();
        let differs = match name {
            "AttemptFails" => DROPPED_REQUESTS,
            _ => 0,
        };
        if EQUAL.contains(&name) {
            ensure!(sum.difference == Some(differs), "not {differs}: {line:?}");
        }
        if name == "OutRsts" && !unaccounted(backend).contains(&name) {
            ensure!(sum.difference == Some(RESETS_OF_NOWHERE), "{line:?}");
        }
    }
    // Nothing counted, nothing shown.
    for counted in [
        "EstabResets",
        "AttemptFails",
        "TCPAbortOnData",
        "TCPAbortOnClose",
        "TWKilled",
    ] {
        let found = lines.iter().find(|line| line.counter == counted);
        let kernel = found.and_then(|line| line.since_start?.kernel);
        ensure!(kernel > Some(0), "{counted}: {found:?}");
    }
    // The FIN_WAIT2 minisock that ran out is short-lived, whichever way the kernel counts it.
    let time_waits = lines.iter().find(|line| line.counter == "TW");
    let judged = time_waits.filter(|line| line.judged == Some(true));
    let difference = judged.and_then(|line| line.since_start?.difference);
    ensure!(matches!(difference, None | Some(-1)), "{time_waits:?}");
    Ok(())
}

fn series_agree(lines: &[Line], auditor: &Auditor) -> Result<()> {
    let series = auditor.series()?;
    for line in lines {
        let sum = line.since_start.unwrap_or_default();
        let shown = |metric: &str| {
            let metric = format!("tcp_observer_audit_{metric}");
            series.get(&(metric, line.counter.clone())).copied()
        };
        ensure!(shown("kernel_total") == sum.kernel, "{series:?}, {line:?}");
        ensure!(
            shown("observed_total") == sum.observed,
            "{series:?}, {line:?}"
        );
        let explained = line.judged.filter(|judged| *judged).map(|_| 0);
        ensure!(shown("unexplained") == explained, "{series:?}, {line:?}");
    }
    Ok(())
}
