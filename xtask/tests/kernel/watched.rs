//! The agent's findings about what was made on purpose: leaks, raised with the right age and
//! holders, and cleared once they are closed.

use std::env;
use std::path::Path;
use std::process;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::demo::{get, metrics, sum};
use xtask::leaked::{self, Leak, Leaked, Service};
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::{Net, State};
pub(crate) use xtask::watching::{CENSUS_CEILING, LEAK_AFTER, Watching, findings as of, make_room};

use crate::cases::of_each;
use crate::leak_truth::{Expected, Resident, agrees, is_of};
use crate::leaks::one_shot_and_ss_agree;
use crate::results::Results;
use crate::session::Session;

/// How often a leak is made anew whose service another has.
const TRIES: usize = 3;

/// One case for each backend.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    of_each(session, results, "leaks_found", found)
}

/// A leak and whether its age must be a lower bound, if that can be said.
pub(crate) type Truth<'a> = (&'a Leaked, Option<bool>);

/// All of them are found, and nothing else in the namespace; what is told of each is right, its
/// age to a second, in an emulated machine to three.
pub(crate) fn check(watching: &Watching, net: &Net, truths: &[Truth<'_>]) -> Result<Vec<Value>> {
    // Of many that were made one after the other the last counts too.
    thread::sleep(LEAK_AFTER);
    let (mut looks, mut last) = (0, Value::Null);
    let page = wait_for("all findings", CENSUS_CEILING, || {
        looks += 1;
        last = watching.next()?;
        Ok((of(&last, net)?.len() >= truths.len()).then(|| last.clone()))
    });
    let page = page.with_context(|| format!("{looks} looks, {}", untold(&last, net, truths)))?;
    check_page(&page, watching, net, truths)
}

/// Of which leaks this page does not tell, and whether the kernel still has them.
fn untold(page: &Value, net: &Net, truths: &[Truth<'_>]) -> String {
    let findings = of(page, net).unwrap_or_default();
    let there = net.ends_in(State::CloseWait).unwrap_or_default();
    let leaks = truths.iter().map(|(leaked, _)| leaked);
    let untold = leaks.filter(|leak| !findings.iter().any(|it| is_of(it, leak.service)));
    let untold = untold.map(|leak| {
        let sockets = leak.sockets.iter();
        let gone = sockets.filter(|ends| !there.contains(*ends)).count();
        (leak.service, leak.sockets.len(), gone)
    });
    let untold: Vec<_> = untold.collect();
    let (at, took, missing) = (&page["taken_at"], &page["took_seconds"], &page["missing"]);
    let found = findings.len();
    format!(
        "{found} of {} told; (service, sockets, gone) of the others {untold:?}; \
         the census of {at} took {took} s, missing {missing}",
        truths.len()
    )
}

/// The same of one page.
pub(crate) fn check_page(
    page: &Value,
    watching: &Watching,
    net: &Net,
    truths: &[Truth<'_>],
) -> Result<Vec<Value>> {
    let findings = of(page, net)?;
    ensure!(findings.len() == truths.len(), "too many: {page:#}");
    let all_seen = lost(watching)? == 0;
    let in_vm = env::var_os("KERNEL_TEST_IN_VM").is_some();
    let slack = if in_vm { 3.0 } else { 1.0 };
    let mut checked = Vec::new();
    for (leaked, at_least) in truths {
        let mut findings = findings.iter();
        let finding = findings.find(|it| is_of(it, leaked.service));
        let finding = finding.with_context(|| format!("no {leaked:#?} in {page:#}"))?;
        let at_least = at_least.filter(|at_least| *at_least || all_seen);
        let expected = Expected::at(page, leaked, slack, at_least)?;
        let agreed = agrees(finding, leaked, &expected);
        agreed.with_context(|| format!("{finding:#}\n{leaked:#?}"))?;
        checked.push((*finding).clone());
    }
    Ok(checked)
}

/// Events that were lost, by the agent's own count.
pub(crate) fn lost(watching: &Watching) -> Result<u64> {
    let page = metrics(watching.address)?;
    sum(&page, "tcp_observer_events_lost_total")
}

/// Each leak, of a service of its own: the kernel gives one port to a listener of IPv4 and to one
/// of IPv6, now and then, and what leaks of both is one finding.
fn all_of(net: &Net, other: Service) -> Result<Vec<(&'static Leak, Leaked)>> {
    let mut made: Vec<(&Leak, Leaked)> = Vec::new();
    for leak in leaked::ALL {
        let mut tries = (0..TRIES).map(|_| leak.make(net));
        let apart = tries.find_map(|leaked| match leaked {
            Ok(leaked) if taken(&made, other, leaked.service) => {
                leaked.end();
                None
            }
            other => Some(other),
        });
        made.push((leak, apart.context("a service of its own")??));
    }
    Ok(made)
}

fn taken(made: &[(&Leak, Leaked)], other: Service, service: Service) -> bool {
    other == service || made.iter().any(|(_, leaked)| leaked.service == service)
}

fn found(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    make_room(&net)?;
    let one = leaked::ALL.first().context("there is one")?;
    let older = one.make(&net)?;
    let watching = Watching::start(agent, &["--backend", backend])?;
    let made = all_of(&net, older.service)?;
    let mut truths = vec![(&older, Some(true))];
    // A kernel skips kprobes inside others, and counts that since 6.12 only.
    let seen = (backend != "kprobe").then_some(false);
    truths.extend(made.iter().map(|(_, leaked)| (leaked, seen)));
    let findings = check(&watching, &net, &truths)?;
    let client = made.iter().position(|(leak, _)| leak.name == "client");
    let by = client.and_then(|at| findings.get(at + 1)?.pointer("/sockets/0/opened_by/pid"));
    let me = Some(u64::from(process::id()));
    let all_seen = seen.is_some() && lost(&watching)? == 0;
    let by = by.and_then(Value::as_u64);
    ensure!(by == me || (by.is_none() && !all_seen), "opened by {by:?}");
    let off = |it: &Value| it["stacks"] == Value::Array(Vec::new());
    ensure!(findings.iter().all(off), "stacks that nobody asked for");
    listed(&watching, &net, &truths)?;
    let leaked: Vec<&Leaked> = truths.iter().map(|(leaked, _)| *leaked).collect();
    one_shot_and_ss_agree(agent, &net, &leaked)?;
    let raised = findings.len();
    older.end();
    for (_, leaked) in made {
        leaked.end();
    }
    let after = watching.next()?;
    // One of them was closed with its listener, which is a finding of its own.
    let leak = |it: &&Value| it.get("kind") == Some(&Value::from("close_wait_leak"));
    let still = of(&after, &net)?.iter().filter(|it| leak(it)).count();
    ensure!(still == 0, "they are closed: {after:#}");
    let stopped = watching.agent.stop()?;
    let said = |word: &str| stopped.errors.iter().filter(|it| it.contains(word)).count();
    ensure!(said("CLOSE_WAIT leak: ") >= raised, "{:?}", stopped.errors);
    ensure!(said("over, ") >= raised, "{:?}", stopped.errors);
    Ok(())
}

/// Every socket is listed one by one too.
fn listed(watching: &Watching, net: &Net, truths: &[Truth<'_>]) -> Result<()> {
    let path = "/api/v1/connections?state=close_wait&older-than=2s";
    let mut here = Vec::new();
    loop {
        let asked = format!("{path}&offset={}", here.len());
        let page: Value = serde_json::from_str(&get(watching.address, &asked)?)?;
        let some = page
            .get("connections")
            .and_then(Value::as_array)
            .context("no connections")?;
        if some.is_empty() {
            break;
        }
        here.extend(some.iter().cloned());
    }
    let inodes = net.inodes();
    here.retain(|it| {
        it["netns"]
            .as_u64()
            .is_some_and(|netns| inodes.contains(&netns))
    });
    let sockets: usize = truths.iter().map(|(leaked, _)| leaked.sockets.len()).sum();
    ensure!(here.len() == sockets, "{} of {sockets} listed", here.len());
    Ok(())
}
