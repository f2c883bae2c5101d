//! The agent's findings about closes that hang and about resets, made on purpose: raised with
//! the right owner, service and count, and cleared when they are over.

use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::judge::Skip;
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::Net;
use xtask::stalled::{self, Stalled, Told};

use crate::cases::trial;
use crate::leak_truth::{Resident, ages};
use crate::results::{Outcome, Results};
use crate::session::Session;
use crate::watched::lost;
use xtask::watching::{CENSUS_CEILING, Watching, make_room};

/// How often all is made at most.
const TRIES: usize = 3;

/// What is made in one case.
type Make = fn(&Net) -> Result<Stalled>;

/// In one namespace, and nothing of the others is taken for one of them.
const TOGETHER: [Make; 5] = [
    stalled::half_closed,
    stalled::window_shut,
    stalled::race,
    stalled::storm,
    stalled::listener_closed,
];

/// Two cases, with the best backend that the kernel allows.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let cut = || stalled::no_veth().map(Skip::NotApplicable);
    vec![
        of(session, results, "stalls_found", &TOGETHER, || None),
        of(session, results, "stalls_cut", &[stalled::cable_cut], cut),
    ]
}

/// Those that change the whole host, which must run one by one.
pub(crate) fn host_wide(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let hindrance = || {
        let why = "changes the whole host, so it runs in VMs only";
        let in_vm = env::var_os("KERNEL_TEST_IN_VM").is_some();
        (!in_vm).then(|| Skip::NotPermitted(why.to_owned()))
    };
    let all: &[Make] = &[stalled::orphans];
    vec![of(session, results, "stalls_orphans", all, hindrance)]
}

fn of(
    session: &'static Session,
    results: &'static Results,
    name: &str,
    all: &'static [Make],
    hindrance: fn() -> Option<Skip>,
) -> Trial {
    trial(session, results, name.to_owned(), move || {
        if let Some(why) = hindrance() {
            return Ok(Outcome::Skipped(why));
        }
        let path = session.agent.clone()?;
        let backend = session.best().ok_or("this kernel allows no backend")?;
        found(&path, backend, all).map_err(|error| format!("{error:#}"))?;
        Ok(Outcome::Passed)
    })
}

/// An agent that says itself that it lost events need not count right; then all is made again.
fn found(agent: &Path, backend: &str, all: &[Make]) -> Result<()> {
    for left in (0..TRIES).rev() {
        let (found, lost) = found_once(agent, backend, all)?;
        match found {
            Err(error) if lost > 0 && left > 0 => {
                println!("again, as {lost} events were lost: {error:#}");
            }
            found => return found,
        }
    }
    Ok(())
}

/// Whether all were found, and how many events were lost.
fn found_once(agent: &Path, backend: &str, all: &[Make]) -> Result<(Result<()>, u64)> {
    let net = Net::enter()?;
    make_room(&net)?;
    let watching = Watching::start(agent, &["--backend", backend])?;
    let found = raised_and_cleared(&watching, &net, all);
    let lost = lost(&watching)?;
    let stopped = watching.agent.stop()?;
    let said = |word: &str| stopped.errors.iter().filter(|it| it.contains(word)).count();
    let told = found.and_then(|count| {
        ensure!(said("over, ") >= count, "{:?}", stopped.errors);
        Ok(())
    });
    Ok((told, lost))
}

/// All pages of censuses that are over while this is made, and what was made.
fn looked_at<T>(watching: &Watching, make: impl FnOnce() -> T) -> Result<(T, Vec<Value>)> {
    /// However the other ends.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = Over(&over);
        let looking = scope.spawn(|| {
            let mut pages: Vec<Value> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let page = watching.last()?;
                let taken = |page: &Value| page.get("taken_at").cloned();
                pages.extend(page.filter(|page| pages.last().map(taken) != Some(taken(page))));
                thread::sleep(Duration::from_millis(200));
            }
            anyhow::Ok(pages)
        });
        let made = make();
        drop(is_over);
        let pages = looking.join();
        Ok((
            made,
            pages.map_err(|_panic| anyhow!("the looker panicked"))??,
        ))
    })
}

/// How many there were.
fn raised_and_cleared(watching: &Watching, net: &Net, all: &[Make]) -> Result<usize> {
    let _resident = Resident::start()?;
    let made = || all.iter().map(|make| make(net)).collect::<Result<Vec<_>>>();
    let (made, pages) = looked_at(watching, made)?;
    let made = made?;
    let told: Vec<&Told> = made.iter().flat_map(|it| &it.told).collect();
    raised(watching, net, &told, pages)?;
    let count = told.len();
    for it in made {
        it.end()?;
    }
    let mut left = String::new();
    let over = wait_for("all findings to be over", CENSUS_CEILING, || {
        let page = watching.next()?;
        let findings = here(&page, net)?;
        left = format!("{findings:#?}");
        Ok(findings.is_empty().then_some(()))
    });
    over.with_context(|| format!("left are {left}"))?;
    Ok(count)
}

/// Each is found, and nothing else.
fn raised(watching: &Watching, net: &Net, told: &[&Told], pages: Vec<Value>) -> Result<()> {
    let mut pages = pages.into_iter();
    let mut missing: Vec<&Told> = told.to_vec();
    let (mut wrong, mut almost) = (String::new(), String::new());
    let found = wait_for("all findings", CENSUS_CEILING, || {
        let page = pages.next().map_or_else(|| watching.next(), Ok)?;
        let findings = here(&page, net)?;
        for finding in &findings {
            let known = told.iter().any(|it| is_about(finding, it));
            ensure!(known, "nobody made {finding:#}");
        }
        wrong = format!("{findings:#?}");
        missing.retain(|told| {
            let mut about = findings.iter().filter(|it| is_about(it, told));
            // What is counted over a minute is gone from the last page.
            !about.any(|it| {
                let right = agrees(&page, it, told);
                if !right {
                    almost = format!("{it:#}");
                }
                right
            })
        });
        Ok(missing.is_empty().then_some(()))
    });
    found.with_context(|| format!("missing {missing:#?} in {wrong}; last was {almost}"))
}

/// The findings of the namespaces, and of the host where it is a test's own. The other end of a
/// half-closed connection leaks.
fn here<'a>(page: &'a Value, net: &Net) -> Result<Vec<&'a Value>> {
    let inodes = net.inodes();
    let own_host = env::var_os("KERNEL_TEST_IN_VM").is_some();
    let findings = page
        .get("findings")
        .and_then(Value::as_array)
        .context("no findings")?;
    let is_here = |it: &&Value| {
        let text = it.get("kind").and_then(Value::as_str);
        let netns = it.get("netns").and_then(Value::as_u64);
        let here = netns.map_or(own_host, |netns| inodes.contains(&netns));
        here && text != Some("close_wait_leak")
    };
    Ok(findings.iter().filter(is_here).collect())
}

/// Whether a finding is of this kind and service.
fn is_about(finding: &Value, told: &Told) -> bool {
    let is = |(pointer, value): &(&str, Value)| finding.pointer(pointer) == Some(value);
    let service = ["/local_port", "/remote", "/id"];
    let named = |(pointer, _): &&(&str, Value)| service.contains(pointer);
    finding.get("kind").and_then(Value::as_str) == Some(told.kind)
        && finding.get("netns").and_then(Value::as_u64) == told.netns
        && told.facts.iter().filter(named).all(is)
}

/// Every fact is there, and the age of the oldest is right.
fn agrees(page: &Value, finding: &Value, told: &Told) -> bool {
    let slack = if env::var_os("KERNEL_TEST_IN_VM").is_some() {
        3.0
    } else {
        1.0
    };
    let mut facts = told.facts.iter();
    let right = facts.all(|(pointer, value)| finding.pointer(pointer) == Some(value));
    let age = finding.pointer("/oldest/seconds").and_then(Value::as_f64);
    let is_old = told.since.as_ref().is_none_or(|since| {
        let ages = ages(page, since.start, since.end, slack);
        age.is_some_and(|age| ages.is_ok_and(|ages| ages.contains(&age)))
    });
    right && is_old
}
