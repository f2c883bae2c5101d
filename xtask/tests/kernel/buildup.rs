//! The agent's findings about TIME_WAIT that comes near its bound, made on purpose: told with
//! thread, service and count, and over when there is room.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::demo::{get, metrics};
use xtask::scenario::clock::wait_for;
use xtask::scenario::pair::{Pair, close, read_end};

use crate::apart::{Apart, number, value};
use crate::cases::of_best;
use crate::results::Results;
use crate::session::Session;
use xtask::watching::CENSUS_CEILING;

/// `tcp_max_tw_buckets` here.
const LIMIT: usize = 50;

/// What builds up.
const KIND: &str = "time_wait_buildup";

/// The name of the thread that closes.
const NAME: &str = "tw-maker";

/// Which end closes first, and so keeps TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Client,
    Server,
}

/// One case for each end.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let case = |name, run| of_best(session, results, name, run);
    vec![
        case("buildup_of_client", |agent, backend| {
            builds_up(agent, backend, First::Client)
        }),
        case("buildup_of_server", |agent, backend| {
            builds_up(agent, backend, First::Server)
        }),
    ]
}

fn builds_up(agent: &Path, backend: &str, first: First) -> Result<()> {
    let limit = ("tcp_max_tw_buckets", LIMIT.to_string());
    let apart = Apart::start(agent, backend, (limit.0, &limit.1))?;
    apart.fill(30, first)?;
    let early = apart.told(KIND)?;
    ensure!(early.is_none(), "three fifths are few: {early:#?}");
    let finding = apart.wait_full(|it| names_all(it, 45), first)?;
    is_right(&finding, apart.at()?, first).with_context(|| format!("{finding:#}"))?;
    counted(apart.watching.address, first)?;
    listed(&apart)?;
    apart.set_limit(1000)?;
    let over = apart.told(KIND)?;
    ensure!(over.is_none(), "there is room: {over:#?}");
    apart.set_limit(LIMIT)?;
    let left_out = wait_for("TIME_WAIT that is left out", CENSUS_CEILING, || {
        // Some may expire meanwhile.
        apart.fill(45, first)?;
        apart.make(10, first)?;
        Ok(Some(apart.left_out()?).filter(|left_out| *left_out > 0))
    })?;
    apart.wait_told(KIND, |it| it["overflows"].as_u64() == Some(left_out))?;
    let stopped = apart.watching.agent.stop()?;
    let said = |word: &str| stopped.errors.iter().any(|it| it.contains(word));
    ensure!(said(" of at most 50 sockets; 4"), "{:?}", stopped.errors);
    ensure!(said(&format!("closed by {NAME}")), "{:?}", stopped.errors);
    ensure!(said("over, "), "{:?}", stopped.errors);
    Ok(())
}

/// All of them, and who made them.
fn names_all(finding: &Value, count: u64) -> bool {
    let number = |pointer: &str| finding.pointer(pointer).and_then(Value::as_u64);
    let by = finding.pointer("/services/0/closed_by/0/name");
    number("/minisocks") == Some(count) && by == Some(&Value::from(NAME))
}

fn is_right(finding: &Value, at: SocketAddr, first: First) -> Result<()> {
    let (role, other) = match first {
        First::Client => ("client", "server"),
        First::Server => ("server", "client"),
    };
    ensure!(number(finding, "/limit")? == LIMIT as u64, "limit");
    ensure!(
        number(finding, &format!("/time_wait/{role}"))? == 45,
        "{role}"
    );
    ensure!(
        number(finding, &format!("/time_wait/{other}"))? == 0,
        "{other}"
    );
    ensure!(number(finding, "/fin_wait2")? == 0, "fin_wait2");
    ensure!(number(finding, "/overflows")? == 0, "overflows");
    let bytes = number(finding, "/memory_bytes")?;
    ensure!(
        bytes % 45 == 0 && (64..4096).contains(&(bytes / 45)),
        "{bytes} bytes"
    );
    let rate = finding["started_per_minute"].as_f64().context("no rate")?;
    // The agent has watched for some time up to a minute and a little more.
    ensure!((9.0..=45.0 * 60.0).contains(&rate), "{rate} a minute");
    let services = finding["services"].as_array().context("no services")?;
    let [service] = &services[..] else {
        bail!("not one service")
    };
    ensure!(service["role"] == role, "role");
    match first {
        First::Client => ensure!(service["remote"] == at.to_string(), "remote"),
        First::Server => ensure!(service["local_port"] == at.port(), "local_port"),
    }
    ensure!(number(service, "/time_wait")? == 45, "time_wait");
    let names = service["closed_by"].as_array().context("no names")?;
    let counts = names.iter().map(|it| number(it, "/count"));
    let counts: Vec<u64> = counts.collect::<Result<_>>()?;
    let (most, all) = (counts.iter().max(), counts.iter().sum::<u64>());
    ensure!(
        most.is_some_and(|most| most * 2 > all),
        "closed by {names:?}"
    );
    Ok(())
}

/// The page of all namespaces has them too.
fn listed(apart: &Apart) -> Result<()> {
    let text = get(apart.watching.address, "/api/v1/time-wait")?;
    let page: Value = serde_json::from_str(&text).context("no JSON")?;
    let all = page.get("namespaces").and_then(Value::as_array);
    let here = |it: &&Value| it["netns"].as_u64() == Some(apart.net.inode);
    let one = all.context("no namespaces")?.iter().find(here);
    let one = one.with_context(|| format!("it is not there: {page:#}"))?;
    ensure!(number(one, "/services/0/closed_by/0/count")? > 0, "{one:#}");
    Ok(())
}

/// The metrics know of them too; other namespaces may have some beside.
fn counted(agent: SocketAddr, first: First) -> Result<()> {
    let role = match first {
        First::Client => "client",
        First::Server => "server",
    };
    let text = metrics(agent)?;
    for (series, least) in [
        (format!("time_wait_sockets{{role=\"{role}\"}}"), 45.0),
        (format!("time_wait_started_total{{role=\"{role}\"}}"), 45.0),
        ("time_wait_limit_used_ratio".to_owned(), 0.9),
        ("findings{kind=\"time_wait_buildup\"}".to_owned(), 1.0),
    ] {
        let value = value(&text, &series)?;
        ensure!(value >= least, "{series} is {value}");
    }
    Ok(())
}

impl Apart {
    fn set_limit(&self, limit: usize) -> Result<()> {
        let set = || self.net.set("tcp_max_tw_buckets", &limit.to_string());
        self.inside("administrator", set)
    }

    /// Connections that end and leave TIME_WAIT on one end.
    fn make(&self, count: usize, first: First) -> Result<()> {
        let at = self.at()?;
        self.inside(NAME, || {
            for _ in 0..count {
                let pair = Pair::through(&self.listener, at)?;
                let (one, other) = match first {
                    First::Client => (pair.client, pair.server),
                    First::Server => (pair.server, pair.client),
                };
                close(one);
                // FINs that cross would leave TIME_WAIT on both ends.
                read_end(&other)?;
                close(other);
            }
            Ok(())
        })
    }

    /// So many in TIME_WAIT, however many have expired.
    fn fill(&self, count: usize, first: First) -> Result<()> {
        let there = self.inside(NAME, || self.net.connections())?;
        self.make(count.saturating_sub(there), first)
    }

    /// TIME_WAIT that the kernel left out.
    fn left_out(&self) -> Result<u64> {
        let counters = self.inside(NAME, || self.net.counters())?;
        let left_out = counters.get("TCPTimeWaitOverflow").context("no counter")?;
        Ok(u64::try_from(*left_out)?)
    }

    /// Waits for a finding that fits while 45 are in TIME_WAIT.
    fn wait_full(&self, fits: impl Fn(&Value) -> bool, first: First) -> Result<Value> {
        let mut last = None;
        let told = wait_for(KIND, CENSUS_CEILING, || {
            self.fill(45, first)?;
            // The next but one may be so much later on a slow machine that they have expired.
            last = self.told_on(&self.watching.after_censuses(1)?, KIND)?;
            Ok(last.clone().filter(&fits))
        });
        told.with_context(|| format!("the last was {last:#?}"))
    }
}
