//! The agent under load: 200,000 connections as fast as two cores can make them.
//!
//! Takes the agent's path; prints each figure beside its limit and fails if one is violated.
//! Needs root. Never touches a socket outside of the namespaces that it makes.

mod leaks;
mod lines;
mod measure;
mod mixed;
mod owners;
mod tally;
mod traffic;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::agent::Agent;
use crate::scenario::clock::{now, wait_for};
use crate::scenario::net::Net;
pub use leaks::run as run_leaks;
pub(crate) use measure::anonymous_kib;
pub use mixed::{Mixed, run as run_mixed};
pub use owners::run as run_owners;

use measure::{Checks, Reading};
use tally::Tally;
use traffic::{LANES, Ledger, PER_LANE, Plan, wish};

const CONNECTIONS: u64 = (LANES * PER_LANE) as u64;
/// Other traffic of the host may add this much.
const OTHERS: u64 = CONNECTIONS * 2 / 400;
/// Ends of one run that may be told as partial. On one kernel that was measured, every agent
/// at once missed the same few events; ftrace beside them recorded exactly these, in a softirq
/// on top of a task of the machine's own supervisor. Neither the ring nor `recursion_misses`
/// counts such an event, so no agent can know of it; its connection says partial, never wrong.
const HIDDEN: u64 = CONNECTIONS / 20_000;
const FORGETTING: Duration = Duration::from_secs(10);
/// Open at once on each lane while agents start, so that many are older than the agent.
const OPEN_WHILE_STARTING: usize = 2000;

/// Runs all of it with this agent.
pub fn run(agent_path: &Path) -> Result<()> {
    raise_file_limit()?;
    let mut checks = Checks::default();
    let address = free_address()?;
    let listen = address.to_string();
    let arguments = ["run", "--web.listen-address", &listen];
    let agent = Agent::start(agent_path, &arguments, |_| ())?;
    let mut memory = Vec::new();
    for round in 1..=3 {
        say(&format!("\nrun {round} of 3: {CONNECTIONS} connections"))?;
        full_speed(agent_path, address, &mut checks)?;
        memory.push(anonymous_kib(agent.pid())?);
        say(&format!(
            "  RssAnon {} KiB",
            memory.last().copied().unwrap_or_default()
        ))?;
    }
    if let [_, second, third] = memory.as_slice() {
        let limit = second + second / 20;
        let what = "RssAnon after the third run, KiB";
        checks.row(
            what,
            *third,
            &format!("at most {limit} (+5 %)"),
            *third <= limit,
        )?;
    }
    let stopped = agent.stop()?;
    checks.row(
        "exit status of the agent is 0",
        0,
        "",
        stopped.status.success(),
    )?;

    say("\ntwo agents that start under load")?;
    starting_under_load(agent_path, &mut checks)?;
    checks.conclude()
}

/// Traffic in a thread and namespace of its own.
struct Traffic {
    netns: u64,
    /// Sent a word when the traffic may start.
    go: mpsc::Sender<()>,
    wish: Arc<AtomicU8>,
    /// The ledger once it is over; the namespace lives until it is dropped.
    done: mpsc::Receiver<Result<(Ledger, Net)>>,
}

impl Traffic {
    fn new(open: usize, first_wish: u8) -> Result<Self> {
        let wish = Arc::new(AtomicU8::new(first_wish));
        let plan = Plan {
            open,
            wish: Arc::clone(&wish),
        };
        let (send_netns, netns) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (send_done, done) = mpsc::channel();
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let result = (|| -> Result<(Ledger, Net)> {
                    let net = Net::enter_plain()?;
                    traffic::prepare(&net)?;
                    send_netns.send(net.inode)?;
                    may_go.recv()?;
                    Ok((traffic::drive(&plan)?, net))
                })();
                // Nobody listens if the other side has failed already.
                drop(send_done.send(result));
            })?;
        match netns.recv() {
            Ok(netns) => Ok(Self {
                netns,
                go,
                wish,
                done,
            }),
            Err(_) => Err(done
                .recv()?
                .err()
                .unwrap_or_else(|| anyhow!("the load did not start"))),
        }
    }

    fn start(&self) -> Result<()> {
        self.go.send(()).context("the load's thread is gone")
    }
}

/// As fast as it goes, with an agent that was there before.
fn full_speed(agent_path: &Path, address: SocketAddr, checks: &mut Checks) -> Result<()> {
    let traffic = Traffic::new(0, wish::SEEN)?;
    let (tracer, lines) = trace(agent_path, traffic.netns)?;
    let before = Reading::of(address)?;
    let start = now();
    traffic.start()?;
    let (ledger, net) = traffic.done.recv()??;
    let took = start.elapsed();
    say(&format!("  it took {:.1} s", took.as_secs_f64()))?;

    // Connections of the rest of the host come and go: the lowest reading counts.
    let mut tracked = u64::MAX;
    let forgotten = wait_for("the agent to forget", FORGETTING, || {
        tracked = tracked.min(Reading::of(address)?.tracked);
        Ok((tracked <= before.tracked).then_some(()))
    });
    thread::sleep(FORGETTING.saturating_sub(start.elapsed().saturating_sub(took)));
    let after = Reading::of(address)?;
    let stopped = tracer.stop()?;
    let tally = Tally::of(lines, &ledger)?;
    drop(net);

    let lost_lines = stopped
        .errors
        .iter()
        .filter(|line| line.contains("lost"))
        .count();
    checks.exactly("events lost, agent", after.lost - before.lost, 0)?;
    checks.exactly("lines about losses, trace", lost_lines as u64, 0)?;
    checks.exactly("lines with role client", tally.clients, CONNECTIONS)?;
    checks.exactly("lines with role server", tally.servers, CONNECTIONS)?;
    show(&tally, checks)?;
    checks.at_most("partial lines", tally.partial, HIDDEN)?;
    let grown = after.ended - before.ended;
    let limit = 2 * CONNECTIONS + OTHERS;
    let holds = (2 * CONNECTIONS..=limit).contains(&grown);
    checks.row(
        "growth of connections_ended_total",
        grown,
        &format!("{} to {limit}", 2 * CONNECTIONS),
        holds,
    )?;
    let holds = forgotten.is_ok();
    checks.row(
        "tracked after 10 s",
        tracked,
        &format!("at most {} (before)", before.tracked),
        holds,
    )
}

/// Agents that come when the load is already there.
fn starting_under_load(agent_path: &Path, checks: &mut Checks) -> Result<()> {
    let traffic = Traffic::new(OPEN_WHILE_STARTING, wish::EARLY)?;
    traffic.start()?;
    thread::sleep(Duration::from_millis(500));
    let (first, first_lines) = trace(agent_path, traffic.netns)?;
    let (second, second_lines) = trace(agent_path, traffic.netns)?;
    thread::sleep(Duration::from_secs(1));
    traffic.wish.store(wish::SEEN, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(2));
    traffic.wish.store(wish::STOP, Ordering::Relaxed);
    let (ledger, net) = traffic.done.recv()??;
    thread::sleep(Duration::from_secs(3));

    let seen = ledger.entries().filter(|(_, entry)| entry.seen).count() as u64;
    checks.row(
        "connections opened with both attached",
        seen,
        "at least 1000",
        seen >= 1000,
    )?;
    for (name, agent, lines) in [
        ("first agent", first, first_lines),
        ("second agent", second, second_lines),
    ] {
        say(&format!("  {name}"))?;
        drop(agent.stop()?);
        let tally = Tally::of(lines, &ledger)?;
        let roles = tally.unknown_roles;
        checks.row(
            "lines with role unknown, all partial",
            roles,
            "at most partial",
            roles <= tally.partial,
        )?;
        checks.row(
            "partial lines",
            tally.partial,
            "at least 1",
            tally.partial >= 1,
        )?;
        show(&tally, checks)?;
    }
    drop(net);
    Ok(())
}

fn show(tally: &Tally, checks: &mut Checks) -> Result<()> {
    checks.exactly("lines about an end that had one", tally.twice, 0)?;
    checks.exactly("lines with a wrong ending or role", tally.wrong, 0)?;
    checks.exactly("lines about no connection of the load", tally.foreign, 0)?;
    checks.at_most(
        "ends without a whole line, of those seen",
        tally.missing,
        HIDDEN,
    )?;
    if let Some(example) = &tally.example {
        say(&format!("  for example: {example}"))?;
    }
    Ok(())
}

/// Starts `trace --json` for one namespace, into a file that has no name.
fn trace(agent_path: &Path, netns: u64) -> Result<(Agent, File)> {
    let file = nameless()?;
    let arguments = ["trace", "--json", "--netns", &netns.to_string()];
    Ok((
        Agent::start_into(agent_path, &arguments, file.try_clone()?)?,
        file,
    ))
}

/// A file that has no name, to be written and read.
fn nameless() -> Result<File> {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("tcp-observer-load-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Lets this process and those that it starts open as many files as they may.
pub(crate) fn raise_file_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the limit of open files")
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
