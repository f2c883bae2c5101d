//! `tcp-observer leaks` and leaks that were made on purpose: it names each with its holders,
//! and no longer once it is closed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use xtask::leaked::{self, Leak, Leaked};
use xtask::scenario::net::{Net, State};

use crate::cases::trial;
use crate::leak_truth::{Expected, Resident, agrees, output, shows_the_same};
use crate::mounted;
use crate::results::{Outcome, Results};
use crate::session::Session;

/// The age from which a socket counts as leaked here.
pub(crate) const AFTER: Duration = Duration::from_secs(2);

/// What a process of its own may need for it on an emulated machine.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// Every kind of leak, and what it does beside.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let case = |name: &str, run: fn(&Path) -> Result<Outcome>| {
        trial(session, results, format!("leaks_{name}"), move || {
            let path = session.agent.clone()?;
            run(&path).map_err(|error| format!("{error:#}").into())
        })
    };
    let made = |leak: &'static Leak| {
        trial(
            session,
            results,
            format!("leaks_{}", leak.name),
            move || {
                let path = session.agent.clone()?;
                found_and_gone(&path, leak).map_err(|error| format!("{error:#}").into())
            },
        )
    };
    let mut cases: Vec<Trial> = leaked::ALL.iter().map(made).collect();
    cases.push(case("agree_with_ss", agree_with_ss));
    cases.push(case("in_a_mounted_namespace", mounted::found));
    cases.push(case("of_others_are_partial", of_others_are_partial));
    cases.push(case("in_a_pid_namespace_are_partial", in_a_pid_namespace));
    cases
}

fn found_and_gone(agent: &Path, leak: &Leak) -> Result<Outcome> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    let leaked = leak.make(&net)?;
    let patient = report(agent, &["--after", "1h"])?;
    ensure!(
        of(&patient.page, &net)?.is_empty(),
        "a young one: {}",
        patient.page
    );
    thread::sleep(AFTER + SLACK);
    let aged = report(agent, &["--after", "2s"])?;
    ensure!(aged.code == 1, "it exits with {}: {}", aged.code, aged.page);
    let leaks = of(&aged.page, &net)?;
    let [leak] = leaks[..] else {
        bail!("not one leak: {}", aged.page)
    };
    agrees(leak, &leaked, &aged_by_now(&leaked))
        .with_context(|| format!("{leak:#}\n{leaked:#?}"))?;
    let told = same_as_ss(&ends(&leaked).collect(), &[&leaked])?;
    leaked.end();
    let after = report(agent, &["--after", "2s"])?;
    ensure!(
        of(&after.page, &net)?.is_empty(),
        "it is closed: {}",
        after.page
    );
    Ok(Outcome::Told(told))
}

/// The kernel dates by its ticks, which may come late, so that something seems to last as much
/// longer.
pub(crate) fn aged_by_now(leaked: &Leaked) -> Expected {
    const LATE: Duration = Duration::from_millis(500);
    let most = leaked.since.elapsed() + LATE;
    Expected {
        at_least: Some(true),
        range: AFTER.as_secs_f64()..=most.as_secs_f64(),
    }
}

fn ends(leaked: &Leaked) -> impl Iterator<Item = String> {
    let sockets = leaked.sockets.iter();
    sockets.map(|(local, peer)| format!("{local} {peer}"))
}

pub(crate) struct Report {
    code: i32,
    pub(crate) page: Value,
}

/// What it says with these arguments. This machine may hide a process from root.
pub(crate) fn report(agent: &Path, arguments: &[&str]) -> Result<Report> {
    let mut command = Command::new(agent);
    let command = command
        .args(["leaks", "--json", "--partial-ok"])
        .args(arguments);
    let output = output(command)?;
    let page: Value = serde_json::from_slice(&output.stdout).context("it printed no JSON")?;
    let code = output.status.code().context("it was killed")?;
    let leaks = page.get("leaks").and_then(Value::as_array);
    let any = leaks.is_some_and(|it| !it.is_empty());
    ensure!(code == i32::from(any), "it exits with {code}: {page}");
    Ok(Report { code, page })
}

/// `leaks` finds so many sockets here, and ss shows these, each with its holders. The calling
/// thread is in the namespace.
pub(crate) fn one_shot_and_ss_agree(agent: &Path, net: &Net, made: &[&Leaked]) -> Result<()> {
    let truth: BTreeSet<String> = made.iter().copied().flat_map(ends).collect();
    let page = report(agent, &["--after", "1s"])?.page;
    let counts = of(&page, net)?.into_iter().map(|it| it["count"].as_u64());
    let count: u64 = counts.map(Option::unwrap_or_default).sum();
    let agreed = if count == truth.len() as u64 {
        same_as_ss(&truth, made).map(drop)
    } else {
        Err(anyhow!("{count} of {}", truth.len()))
    };
    agreed.with_context(|| {
        let there = net.ends_in(State::CloseWait).unwrap_or_default();
        let mut sockets = made.iter().flat_map(|it| &it.sockets);
        let gone = sockets.find(|ends| !there.contains(ends));
        format!("/proc/net/tcp lists {} and not {gone:?}", there.len())
    })
}

/// The leaks in this namespace.
pub(crate) fn of<'a>(page: &'a Value, net: &Net) -> Result<Vec<&'a Value>> {
    let inodes = net.inodes();
    let leaks = page["leaks"].as_array().context("no leaks")?;
    let here = |leak: &&Value| {
        let netns = leak["netns"].as_u64();
        netns.is_some_and(|netns| inodes.contains(&netns))
    };
    Ok(leaks.iter().filter(here).collect())
}

/// `ss -tanp state close-wait` shows the same sockets with the same holders; without it, the
/// kernel's own table shows the same sockets.
fn agree_with_ss(agent: &Path) -> Result<Outcome> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    let names = [
        "one_process",
        "one_process_ipv6",
        "two_processes",
        "client",
        "not_accepted",
    ];
    let wanted = leaked::ALL.iter().filter(|leak| names.contains(&leak.name));
    let made = wanted.map(|leak| leak.make(&net));
    let made = made.collect::<Result<Vec<_>>>()?;
    thread::sleep(AFTER + SLACK);
    let page = report(agent, &["--after", "2s"])?.page;
    let mut ours = BTreeSet::new();
    for leak in of(&page, &net)? {
        for socket in leak["sockets"].as_array().into_iter().flatten() {
            ours.insert(format!("{} {}", socket["local"], socket["peer"]).replace('"', ""));
        }
    }
    let all: Vec<&Leaked> = made.iter().collect();
    let truth: BTreeSet<String> = made.iter().flat_map(ends).collect();
    ensure!(ours == truth, "ours {ours:?}, not {truth:?}");
    let found = same_as_ss(&ours, &all)?;
    made.into_iter().for_each(Leaked::end);
    Ok(Outcome::Told(found))
}

/// Says whether there was an ss to agree with.
fn same_as_ss(ours: &BTreeSet<String>, made: &[&Leaked]) -> Result<String> {
    match output(Command::new("ss").args(["-tanpH", "state", "close-wait"])) {
        Ok(output) => {
            shows_the_same(&String::from_utf8(output.stdout)?, ours, made)?;
            Ok("the same as ss".to_owned())
        }
        Err(error) => Ok(format!("there is no ss here (package iproute2): {error:#}")),
    }
}

/// From inside a pid namespace it says that there are processes outside.
fn in_a_pid_namespace(agent: &Path) -> Result<Outcome> {
    let inside = || -> Result<Output> {
        unshare(CloneFlags::CLONE_NEWPID).context("cannot unshare the pid namespace")?;
        output(Command::new(agent).arg("leaks"))
    };
    let output = thread::scope(|scope| scope.spawn(inside).join());
    let output = output.map_err(|_panic| anyhow!("its thread panicked"))??;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.code() == Some(2),
        "{:?}: {text}",
        output.status
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    let told = words
        .join(" ")
        .contains("not seen: processes outside of this pid namespace");
    ensure!(told, "{text}");
    Ok(Outcome::Passed)
}

/// Without privileges it says what it did not see, and exits with 2.
fn of_others_are_partial(agent: &Path) -> Result<Outcome> {
    const NOBODY: u32 = 65534;
    let copy = std::env::temp_dir().join(format!("leaks-of-others-{}", std::process::id()));
    fs::copy(agent, &copy).context("cannot copy the agent")?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    let output = output(Command::new(&copy).arg("leaks").uid(NOBODY).gid(NOBODY));
    fs::remove_file(&copy)?;
    let output = output.context("cannot start the agent as nobody")?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.code() == Some(2),
        "{:?}: {text}",
        output.status
    );
    ensure!(
        text.contains("not seen: ") && text.contains("root"),
        "{text}"
    );
    Ok(Outcome::Passed)
}
