//! How long a scrape takes and how large it is, with as many series as there can be.
//!
//! Takes the agent; makes more processes, ports, destinations and leaks than have series of their
//! own; gives time and size, and how near to the bound the page came.

use std::ffi::CString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::prctl;
use serde_json::json;

use super::limits::{Limit, Limits};
use super::stats::Quartiles;
use super::{Section, say};
use crate::demo::sum;
use crate::figures::Scrape;
use crate::scenario::net::Net;
use crate::scenario::pair::{Pair, close, read_end};
use crate::served::program::Program;
use crate::served::python;
use crate::watching::Watching;

/// Processes, ports and destinations; more than may have series.
const MANY: u8 = 40;
/// Connections of each; eight give a process or a port its own series.
const EACH: usize = 10;
/// Processes that leak, each an interpreter.
const LEAKERS: u8 = 12;
/// Network namespaces whose counters have series of their own, and one whose have not.
const AUDITED: usize = 5;
const PORT: u16 = 5000;
const SCRAPES: usize = 100;

/// Measures it.
pub(super) fn measure(agent: &Path, limits: &Limits) -> Result<Section> {
    let enter = || (0..AUDITED).map(|_| Net::enter_plain()).collect();
    let audited: Vec<Net> = on_a_thread(enter)?;
    let paths: Vec<String> = audited.iter().map(Net::path).collect();
    let options: Vec<&str> = paths.iter().flat_map(|path| ["--netns", path]).collect();
    let watching = Watching::start(agent, &options)?;
    let first = Scrape::of(watching.address)?;
    let made = on_a_thread(fill)?;
    // What leaks is told two censuses after it is old enough.
    watching.after_censuses(4)?;
    let scrapes = (0..SCRAPES).map(|_| Scrape::of(watching.address));
    let scrapes = scrapes.collect::<Result<Vec<_>>>()?;
    drop(made);
    let last = scrapes.last().context("there is one")?;
    let series = sum(&last.text, "tcp_observer_series")?;
    let bound = sum(&last.text, "tcp_observer_series_limit")?;
    ensure!(series <= bound, "{series} series, more than {bound}");
    let took = |it: &Scrape| it.took.as_secs_f64() * 1e3;
    let times: Vec<f64> = scrapes.iter().map(took).collect();
    let shown = Quartiles::of(&times).context("there is one")?;
    let slowest = times.iter().copied().fold(0.0, f64::max);
    let sizes = (first.text.len(), last.text.len());
    say(&format!(
        "scrape: {series} of {bound} series, {} bytes",
        sizes.1
    ))?;
    drop(watching.agent.stop()?);
    Ok(Section {
        name: "scrape",
        table: format!(
            "## A scrape at the bound of series\n\n{SCRAPES} scrapes one after the other, each \
             with its own connect, no compression.\n\n\
             | series | of at most | bytes | bytes at start | ms, median | ms, quartiles | ms, slowest |\n\
             |--:|--:|--:|--:|--:|--:|--:|\n\
             | {series} | {bound} | {} | {} | {:.2} | {:.2}–{:.2} | {slowest:.2} |\n",
            sizes.1, sizes.0, shown.median, shown.lower, shown.upper
        ),
        data: json!({
            "series": series,
            "series_limit": bound,
            "bytes": sizes.1,
            "bytes_at_start": sizes.0,
            "milliseconds": times,
        }),
        checks: vec![limits.check(Limit::Scrape, &times)?],
    })
}

/// Runs what changes its thread's name and namespace.
fn on_a_thread<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let done = scope.spawn(run).join();
        done.map_err(|_panic| anyhow!("the load panicked"))?
    })
}

/// What stays until the scrapes are over.
struct Made {
    _open: Vec<(TcpStream, TcpStream)>,
    _leakers: Vec<Program>,
    _names: tempfile::TempDir,
    _resident: Program,
    _net: Net,
}

/// Needs a thread of its own.
fn fill() -> Result<Made> {
    let net = Net::enter_plain()?;
    let resident = Program::resident()?;
    let mut open = Vec::new();
    for number in 1..=MANY {
        prctl::set_name(&CString::new(format!("owner-{number}"))?)?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let at = (
            Ipv4Addr::new(127, 0, 1, number),
            listener.local_addr()?.port(),
        );
        for _ in 0..EACH {
            let pair = Pair::through(&listener, SocketAddr::from(at))?;
            close(pair.client);
            read_end(&pair.server)?;
            close(pair.server);
        }
        let pair = Pair::through(&listener, SocketAddr::from(at))?;
        open.push((pair.client, pair.server));
    }
    let names = tempfile::tempdir()?;
    let leakers = (1..=LEAKERS).map(|number| leak(names.path(), number));
    let leakers = leakers.collect::<Result<_>>()?;
    without_ports(&net)?;
    Ok(Made {
        _open: open,
        _leakers: leakers,
        _names: names,
        _resident: resident,
        _net: net,
    })
}

/// A process with a name of its own whose one connection stays in CLOSE_WAIT.
fn leak(names: &Path, number: u8) -> Result<Program> {
    let at = SocketAddr::from((Ipv4Addr::new(127, 0, 2, number), PORT));
    let mut leaker = python::holds_as(&names.join(format!("leaker-{number}")), at, 1)?;
    drop(TcpStream::connect(at)?);
    leaker.wait_said("held", 1)?;
    Ok(leaker)
}

/// Each process connects once more, with the only local port taken.
fn without_ports(net: &Net) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    net.set("ip_local_port_range", "60999 60999")?;
    let taken = TcpStream::connect(at)?;
    for number in 1..=MANY {
        prctl::set_name(&CString::new(format!("owner-{number}"))?)?;
        ensure!(TcpStream::connect(at).is_err(), "a port was free");
    }
    drop(taken);
    Ok(())
}
