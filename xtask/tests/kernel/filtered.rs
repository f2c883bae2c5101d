//! Filters of the agent: all that they let through is told as without them, and of the rest no
//! record leaves the kernel.

use std::collections::BTreeSet;
use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use nix::errno::Errno;
use observer_ebpf::wire::settings::MOST_FILTERED;
use serde_json::Value;
use xtask::agent::{Agent, Record, Records};
use xtask::demo::{metrics, sum};
use xtask::judge::Skip;
use xtask::leaked::Cgroup;
use xtask::scenario::clock::{CEILING, wait_for};
use xtask::scenario::forking::spawn;
use xtask::scenario::link::{FAR, Far, NEAR, no_veth};
use xtask::scenario::net::Net;
use xtask::scenario::pair::{Pair, close, leave, linger_zero, read_end, wait_error};
use xtask::watching::{LEAK_AFTER, Watching, findings, make_room};

use crate::btf::parameters;
use crate::cases::{Own, trial};
use crate::leak_truth::Resident;
use crate::results::{Outcome, Results};
use crate::session::Session;

/// Set, this program connects to the address in it, closes, and ends.
pub(crate) const CONNECT: &str = "KERNEL_TEST_CONNECT";

/// What is told after what is waited for would have been told by then: a verdict is final within
/// two seconds.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Some connections of each sort.
const EACH: usize = 5;

/// Three cases for each backend.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut cases = of_each(session, results, "filters_port", by_port, || None);
    cases.extend(of_each(
        session,
        results,
        "filters_address",
        by_address,
        no_veth,
    ));
    cases.extend(of_each(
        session,
        results,
        "filters_cgroup",
        by_cgroup,
        no_cgroup,
    ));
    cases
}

/// Before 5.15 (and 5.10.x) a socket keeps its cgroup together with other things, or those instead.
fn no_cgroup() -> Option<String> {
    let both = parameters("cgroup_sk_alloc_disable").is_some();
    both.then(|| "sockets of this kernel do not keep their cgroup v2 alone".to_owned())
}

/// A kprobe that the kernel skips costs a case its exact counts, so that each has a second try.
fn of_each(
    session: &'static Session,
    results: &'static Results,
    name: &str,
    run: Own,
    why_not: fn() -> Option<String>,
) -> Vec<Trial> {
    let case = |backend: &'static str| {
        trial(session, results, format!("{name}::{backend}"), move || {
            if let Some(why) = why_not() {
                return Ok(Outcome::Skipped(Skip::NotApplicable(why)));
            }
            let path = session.agent.clone()?;
            let Err(error) = run(&path, backend) else {
                return Ok(Outcome::Passed);
            };
            let first = format!("{error:#}");
            run(&path, backend).map_err(|error| format!("{first}; then {error:#}"))?;
            Ok(Outcome::SecondTry(first))
        })
    };
    session.backends.iter().copied().map(case).collect()
}

/// As many values as the probes take, the wanted ones last.
fn filled(others: impl Iterator<Item = String>, wanted: &[&str]) -> String {
    let others = others.take(MOST_FILTERED - wanted.len());
    let all: Vec<String> = others
        .chain(wanted.iter().map(|&it| it.to_owned()))
        .collect();
    all.join(",")
}

/// Closed by the client, and closed by it with a reset.
fn endings(listener: &TcpListener, to: SocketAddr) -> Result<usize> {
    for _ in 0..EACH {
        let pair = Pair::through(listener, to)?;
        close(pair.client);
        read_end(&pair.server)?;
        close(pair.server);
        let pair = Pair::through(listener, to)?;
        linger_zero(&pair.client)?;
        close(pair.client);
        wait_error(&pair.server, Errno::ECONNRESET as i32)?;
        close(pair.server);
    }
    Ok(4 * EACH)
}

/// By port and namespace: what the agent counts, what the kernel sends it, and what leaks.
fn by_port(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    make_room(&net)?;
    let wanted = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let unwanted = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let at = wanted.local_addr()?;
    // Ports that nobody here has.
    let others = (1..).map(|it| it.to_string());
    let [served, nowhere] = [at, refused].map(|it| it.port().to_string());
    let ports = filled(others, &[&served, &nowhere]);
    let netns = net.inode.to_string();
    let filters = ["--filter.netns", &netns, "--filter.port", &ports];
    let options = [&["--backend", backend], &filters[..]].concat();
    let watching = Watching::start(agent, &options)?;
    let page = || metrics(watching.address);

    let before = events(&page()?)?;
    endings(&unwanted, unwanted.local_addr()?)?;
    elsewhere(at)?;
    let left = leak(&unwanted)?;
    thread::sleep(AFTERWARDS);
    let more = events(&page()?)? - before;
    ensure!(more == 0, "{more} events of what is not wanted");

    let expected = (endings(&wanted, at)? + EACH) as u64;
    for _ in 0..EACH {
        ensure!(TcpStream::connect(refused).is_err(), "{refused} answers");
    }
    wait_for("all ends", CEILING, || {
        Ok((ended(&page()?)? >= expected).then_some(()))
    })?;
    thread::sleep(AFTERWARDS);
    counted(&page()?, expected)?;
    let kept = leak(&wanted)?;
    leaks_at(&watching, &net, at.port())?;
    drop((left, kept));
    Ok(())
}

fn ended(metrics: &str) -> Result<u64> {
    sum(metrics, "tcp_observer_connections_ended_total")
}

/// These ends and no others.
fn counted(metrics: &str, expected: u64) -> Result<()> {
    let ended = ended(metrics)?;
    ensure!(ended == expected, "{ended} ended, not {expected}");
    for series in [
        "ending=\"active_close\",role=\"client\"",
        "ending=\"passive_close\",role=\"server\"",
        "ending=\"reset_linger_zero\",role=\"client\"",
        "ending=\"peer_reset\",role=\"server\"",
        "ending=\"connect_refused\",role=\"client\"",
    ] {
        let line = format!("tcp_observer_connections_ended_total{{{series}}} {EACH}\n");
        ensure!(metrics.contains(&line), "no {line} in {metrics}");
    }
    Ok(())
}

/// There is one leak, at this port.
fn leaks_at(watching: &Watching, net: &Net, port: u16) -> Result<()> {
    thread::sleep(LEAK_AFTER);
    let page = watching.next()?;
    let mut leaks = findings(&page, net)?;
    leaks.retain(|it| it.get("kind").and_then(Value::as_str) == Some("close_wait_leak"));
    let [leak] = leaks[..] else {
        bail!("one leak: {page:#}");
    };
    ensure!(
        leak.get("local_port") == Some(&Value::from(port)),
        "{leak:#}"
    );
    Ok(())
}

/// Events of sockets that have a peer. One that was closed with a reset, or whose connect failed,
/// has none any more when it goes.
fn events(metrics: &str) -> Result<u64> {
    let mut all = 0;
    for line in metrics.lines() {
        let Some(of_kind) = line.strip_prefix("tcp_observer_events_total{kind=\"") else {
            continue;
        };
        let (kind, count) = of_kind.split_once("\"} ").context("no kind")?;
        if !["close_called", "destroyed"].contains(&kind) {
            all += count.parse::<u64>()?;
        }
    }
    Ok(all)
}

/// The same port in another network namespace.
fn elsewhere(at: SocketAddr) -> Result<()> {
    let there = || {
        let _net = Net::enter_plain()?;
        endings(&TcpListener::bind(at)?, at)
    };
    let joined = thread::scope(|scope| scope.spawn(there).join());
    joined.map_err(|_panic| anyhow!("the thread panicked"))??;
    Ok(())
}

/// A server that does not close.
fn leak(listener: &TcpListener) -> Result<TcpStream> {
    let pair = Pair::through(listener, listener.local_addr()?)?;
    leave(pair.client)?;
    read_end(&pair.server)?;
    Ok(pair.server)
}

/// By address, and without this host's own connections.
fn by_address(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let far = Far::join(&net)?;
    let abroad = far.inside(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let own = TcpListener::bind((NEAR, 0))?;
    let loopback = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let start = |filter: &[&str]| traced(agent, backend, filter);
    let others = (0..).map(|it| format!("192.0.2.{it}"));
    let networks = filled(others, &["2001:db8::/32", &format!("{FAR}/31")]);
    let (_one, near_and_far) = start(&["--filter.cidr", &networks])?;
    let (_two, not_here) = start(&["--no-loopback"])?;
    let (_three, v6) = start(&["--filter.cidr", "::/64"])?;
    let six = TcpListener::bind("[::1]:0")?;
    for listener in [&loopback, &own, &six] {
        endings(listener, listener.local_addr()?)?;
    }
    // A socket of IPv6 that speaks IPv4.
    let mapped = SocketAddr::from((FAR.to_ipv6_mapped(), abroad.local_addr()?.port()));
    endings(&abroad, mapped)?;
    let ports = |listeners: &[&TcpListener]| -> Result<BTreeSet<u16>> {
        let port = |it: &&TcpListener| Ok(it.local_addr()?.port());
        listeners.iter().map(port).collect()
    };
    let judge = |what: &str, records: &Records, listeners: &[&TcpListener]| {
        only(records, (&net, &far), &ports(listeners)?).with_context(|| what.to_owned())
    };
    judge("network", &near_and_far, &[&abroad])?;
    judge("--no-loopback", &not_here, &[&abroad])?;
    judge("IPv6", &v6, &[&six])
}

fn traced(agent: &Path, backend: &str, filter: &[&str]) -> Result<(Agent, Records)> {
    // Many agents run at once, and the kernel keeps every ring in memory.
    let own = ["--backend", backend, "--ring-size", "4MiB"];
    Agent::trace(agent, &[&own, filter].concat())
}

/// The agent tells all ends of connections to these ports and of no others, each as it was.
fn only(records: &Records, (net, far): (&Net, &Far), ports: &BTreeSet<u16>) -> Result<()> {
    let here =
        || -> Result<Vec<Record>> { Ok([records.of(net.inode)?, records.of(far.inode)?].concat()) };
    let expected = 4 * EACH * ports.len();
    wait_for("all ends", CEILING, || {
        Ok((here()?.len() >= expected).then_some(()))
    })
    .with_context(|| format!("{:#?}", here()))?;
    thread::sleep(AFTERWARDS);
    let told = here()?;
    ensure!(told.len() == expected, "{expected} ends: {told:#?}");
    for record in &told {
        let wanted = ends(record)?.iter().any(|it| ports.contains(&it.port()));
        ensure!(wanted, "not wanted: {record:#?}");
        let known = [
            "active_close",
            "passive_close",
            "reset_linger_zero",
            "peer_reset",
        ];
        ensure!(known.contains(&&*record.ending), "{record:#?}");
        ensure!(!is_partial(record), "{record:#?}");
    }
    Ok(())
}

/// Whether a part of it was not told, and that for another reason than that the kernel skipped a
/// probe, which is counted: then a filter has left it out.
fn is_partial(record: &Record) -> bool {
    let says = |key| record.all.get(key).and_then(Value::as_str);
    let lost = says("doubt").is_some_and(|it| it.starts_with("events were lost"));
    says("confidence") == Some("partial") && !lost
}

fn ends(record: &Record) -> Result<Vec<SocketAddr>> {
    let ends = [&record.local, &record.peer].into_iter().flatten();
    ends.map(|it| Ok(it.parse()?)).collect()
}

/// By the cgroup that a socket was made in, or one above it.
fn by_cgroup(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let name = format!("filtered-{}-{}.slice", process::id(), net.inode);
    let above = Cgroup::make(&name)?;
    let inside = Cgroup::make(&format!("{name}/one.service"))?;
    let beside = Cgroup::make(&format!("beside-{name}"))?;
    let path = above.path().display().to_string();
    let filters = ["--filter.cgroup", &path].repeat(MOST_FILTERED);
    let (_agent, records) = traced(agent, backend, &filters)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    for cgroup in [&beside, &inside, &above] {
        connect_from(cgroup.path(), &listener)?;
    }
    wait_for("both clients", CEILING, || {
        Ok((records.count(net.inode)? >= 2).then_some(()))
    })?;
    thread::sleep(AFTERWARDS);
    let told = records.of(net.inode)?;
    let clients = told.iter().filter(|it| it.role == "client").count();
    // The server's sockets are of the cgroup that this program is in.
    ensure!((told.len(), clients) == (2, 2), "{told:#?}");
    for record in &told {
        ensure!(record.ending == "active_close", "{record:#?}");
        ensure!(!is_partial(record), "{record:#?}");
    }
    Ok(())
}

/// Another process connects and closes.
fn connect_from(cgroup: &Path, listener: &TcpListener) -> Result<()> {
    let script = "echo $$ > \"$1\" && exec \"$0\"";
    let mut command = Command::new("sh");
    let command = command.args(["-c", script]).arg(env::current_exe()?);
    let command = command.arg(cgroup.join("cgroup.procs"));
    let quiet = command.env(CONNECT, listener.local_addr()?.to_string());
    let quiet = quiet.stdin(Stdio::null());
    let mut client = spawn(quiet.stdout(Stdio::null()))?;
    listener.set_nonblocking(true)?;
    let server = wait_for("the client", CEILING, || {
        if let Some(status) = client.try_wait()? {
            ensure!(status.success(), "the client ended with {status}");
        }
        Ok(listener.accept().ok())
    })?;
    let (server, _) = server;
    server.set_nonblocking(false)?;
    server.set_read_timeout(Some(CEILING))?;
    read_end(&server)?;
    close(server);
    let status = client.wait()?;
    ensure!(status.success(), "the client ended with {status}");
    Ok(())
}

/// What that process does.
pub(crate) fn connect(to: &str) -> Result<()> {
    drop(TcpStream::connect(to)?);
    Ok(())
}
