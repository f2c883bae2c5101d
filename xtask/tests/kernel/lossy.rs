//! An agent that loses events, and what it makes good from the kernel's own tables: no leak is
//! missed and none is told that is over; connections that are gone are forgotten, and no other.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use std::{env, fs, process};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use xtask::agent::Record;
use xtask::demo::{metrics, sum};
use xtask::leaked;
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::Net;
use xtask::scenario::pair::{Pair, close, linger_zero};

use crate::cases::of_each;
use crate::leak_truth::Resident;
use crate::results::Results;
use crate::session::Session;
use crate::watched::{CENSUS_CEILING, Watching, check, check_page, lost, make_room, of};

/// Connections that overflow the ring three times over.
const FLOOD: usize = 400;

/// Connections that end while nobody looks.
const UNSEEN: usize = 48;

/// As many of them at a time.
const BATCH: usize = 6;

/// What other cases do may overflow the ring, or a kernel may skip a probe, while some of them
/// begin: the agent never knows of those.
const KNOWN: usize = UNSEEN / 4;

/// One case for each backend.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    of_each(session, results, "leaks_lossy", lossy)
}

/// The local address and the peer's.
type Ends = (SocketAddr, SocketAddr);

/// Verdicts of one agent, one a line.
struct Events(PathBuf);

impl Events {
    /// Those about these connection ends of this network namespace.
    fn about(&self, net: &Net, ends: &[Ends]) -> Result<Vec<Record>> {
        let text = fs::read_to_string(&self.0)
            .with_context(|| format!("cannot read {}", self.0.display()))?;
        // What is being written has no line end yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let records = whole.lines().map(Record::parse);
        let mut records = records.collect::<Result<Vec<_>>>()?;
        records.retain(|it| {
            let address = |text: &Option<String>| text.as_ref()?.parse().ok();
            let both = address(&it.local).zip(address(&it.peer));
            it.netns == Some(net.inode) && both.is_some_and(|both| ends.contains(&both))
        });
        Ok(records)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // A test that failed before the agent started has none.
        drop(fs::remove_file(&self.0));
    }
}

/// The agent sleeps while a leak ends, another begins, open connections end and the ring
/// overflows.
fn lossy(agent: &Path, backend: &str) -> Result<()> {
    let net = Net::enter()?;
    let _resident = Resident::start()?;
    make_room(&net)?;
    let name = format!("lossy-{}-{backend}", process::id());
    let events = Events(env::temp_dir().join(name));
    let path = events.0.to_string_lossy();
    let ring = ["--ring-size", "256KiB", "--events-file", &path];
    let watching = Watching::start(agent, &[&["--backend", backend][..], &ring].concat())?;
    let one = leaked::ALL.first().context("there is one")?;
    let ends = one.make(&net)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let stays = Pair::through(&listener, at)?;
    // What other cases do may overflow so small a ring too.
    check(&watching, &net, &[(&ends, None)])?;
    let open = begun_one_by_one(&listener)?;
    let missed_before = corrections(&watching, "missed")?;
    watching.agent.signal(Signal::SIGSTOP)?;
    for _ in 0..FLOOD {
        let pair = Pair::through(&listener, at)?;
        close(pair.server);
        close(pair.client);
    }
    ends.end();
    let (gone, _files) = reset(open)?;
    let begins = one.make(&net)?;
    thread::sleep(Duration::from_secs(3));
    watching.agent.signal(Signal::SIGCONT)?;
    check_page(&watching.next()?, &watching, &net, &[(&begins, Some(true))])?;
    ensure!(lost(&watching)? > 0, "nothing was lost");
    // One that came while a census was taken counts at the next. Those of other cases count too.
    wait_for("the leak to count as missed", CENSUS_CEILING, || {
        let missed = corrections(&watching, "missed")?;
        Ok((missed >= missed_before + begins.sockets.len() as u64).then_some(()))
    })?;
    begins.end();
    let after = watching.next()?;
    ensure!(of(&after, &net)?.is_empty(), "it is closed: {after:#}");
    wait_for("the connections to be forgotten", CENSUS_CEILING, || {
        let forgotten = events.about(&net, &gone)?;
        let partial = |it: &&Record| it.all.get("confidence") == Some(&"partial".into());
        Ok((forgotten.iter().filter(partial).count() >= KNOWN).then_some(()))
    })?;
    let forgotten = corrections(&watching, "ghost")?;
    ensure!(forgotten >= KNOWN as u64, "{forgotten} are counted");
    let told = events.about(&net, &[(stays.client_at, stays.server_at)])?;
    ensure!(told.is_empty(), "it is open: {told:#?}");
    Ok(())
}

/// Connections that began at different times, so that a moment of losses hides few of them.
fn begun_one_by_one(listener: &TcpListener) -> Result<Vec<Pair>> {
    let at = listener.local_addr()?;
    let open = (0..UNSEEN).map(|index| {
        if index % BATCH == 0 {
            thread::sleep(Duration::from_millis(400));
        }
        Pair::through(listener, at)
    });
    open.collect()
}

/// What the agent made good so far.
fn corrections(watching: &Watching, kind: &str) -> Result<u64> {
    let series = format!("tcp_observer_census_corrections_total{{kind=\"{kind}\"}}");
    sum(&metrics(watching.address)?, &series)
}

/// Ends them with a reset; gives the clients' ends. What is reset and has a file is in none
/// of the kernel's tables, and its memory is not given to another connection, whose events would
/// end this one.
fn reset(open: Vec<Pair>) -> Result<(Vec<Ends>, Vec<impl Sized>)> {
    let mut files = Vec::new();
    let mut clients = Vec::new();
    for pair in open {
        linger_zero(&pair.server)?;
        close(pair.server);
        clients.push((pair.client_at, pair.server_at));
        files.push(pair.client);
    }
    Ok((clients, files))
}
