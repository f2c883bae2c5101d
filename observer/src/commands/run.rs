//! `tcp-observer run`: the agent.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use observer_ebpf::wire::manifest::Question;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tracing::{info, warn};

use crate::app::{App, Outlet};
use crate::audit::Facts;
use crate::auditor::Auditor;
use crate::cli::{Log, Run};
use crate::clock::Clock;
use crate::http::{self, Site, Terms};
use crate::memory;
use crate::netns::{self, Namespace};
use crate::probe::{self, Answer, Coverage, Probes};
use crate::selection::Selection;
use crate::settings::Filter;
use crate::sink::board::Board;
use crate::sink::lines::{Format, Lines, OnClosedPipe};
use crate::sink::prometheus::Metrics;
use crate::sink::status;
use crate::stop::Stop;
use crate::surveyor::{self, Surveyor};
use crate::symbols::Stacks;

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(arguments: Run, log: &Log) -> anyhow::Result<()> {
    let passed = arguments.systemd_socket.then(http::handed_over);
    let passed = passed.transpose()?;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(observe(arguments, passed, log));
    // A client that reads slowly must not hold up the end.
    runtime.shutdown_background();
    if let Some(outlet) = ended? {
        let lost = outlet.lines.finish(super::LAST_LINES);
        if lost > 0 {
            warn!(lost, "some lines were not written to the events file");
        }
    }
    info!("detached");
    Ok(())
}

/// Serves, attaches and runs the loop; gives back where lines went.
async fn observe(
    arguments: Run,
    passed: Option<Vec<TcpListener>>,
    log: &Log,
) -> anyhow::Result<Option<Outlet>> {
    let clock = Arc::new(Clock::new());
    let metrics =
        Arc::new(Metrics::new(arguments.series.into()).context("cannot register the metrics")?);
    let board = Arc::new(Board::default());
    let stop = Stop::new();
    super::stop_on_signals(&stop)?;
    let selection = arguments.filters.clone().selection()?;
    let namespaces = audited(&arguments, &selection, &clock, &metrics)?;
    let (listeners, terms) = web(&arguments, passed, &clock).await?;
    let outlet = arguments.events_file.map(|path| outlet(&path, &clock));
    let outlet = outlet.transpose()?;
    let site = Arc::new(Site::new(
        Arc::clone(&metrics),
        Arc::clone(&clock),
        arguments.telemetry_path.clone(),
        arguments.audit_interval,
        Arc::clone(&board),
    ));
    announce(&listeners, &arguments.telemetry_path, &terms)?;
    http::serve(listeners, &site, terms, &stop);

    let probes = probe::attach(&probe::Options {
        stacks: arguments.stacks,
        selection: selection.clone(),
        ..arguments.probes.options(log)
    })?;
    memory::give_back();
    let coverage = probes.coverage.clone();
    if let Some(line) = &probes.not_granted {
        warn!("{line}");
    }
    let books = (namespaces, arguments.audit_interval);
    let auditor = selection
        .is_all()
        .then(|| auditor(&probes, books, &clock, &metrics));
    let auditor = auditor.transpose()?;
    let census = surveyor::Settings {
        leak_after: arguments.leak_after,
        interval: arguments.census_interval,
        stacks: stacks(arguments.stacks, &coverage),
        selection,
        budget: arguments.cpu_budget,
    };
    let pinned = Arc::clone(&board);
    let surveyor = Surveyor::start(census, Arc::clone(&clock), Arc::clone(&metrics), pinned)
        .context("cannot start a thread")?;
    let app = App::new(probes, metrics, clock, stop.clone(), outlet)
        .audited_by(auditor)
        .within(arguments.cpu_budget)
        .asked_by(surveyor)
        .told_on(board);
    site.ready(coverage.clone());
    info!(probes = status::summary(&coverage), "attached");
    for blind_to in status::blind_to(&coverage) {
        info!("not seen directly: {blind_to}");
    }
    let outlet = app.run().await;
    stop.set();
    outlet.context("cannot wait for the ring buffer")
}

/// The namespaces to audit. The kernel counts what filters leave out, too.
fn audited(
    arguments: &Run,
    selection: &Selection,
    clock: &Clock,
    metrics: &Metrics,
) -> anyhow::Result<Vec<Namespace>> {
    if !selection.is_all() {
        info!(
            filters = selection.words().join(" "),
            "nothing is audited, since the kernel also counts what the filters leave out"
        );
        return Ok(Vec::new());
    }
    let namespaces = netns::open(&arguments.netns, clock)?;
    let names = namespaces.iter().map(|namespace| &namespace.name);
    names.for_each(|name| metrics.audit().name(name));
    Ok(namespaces)
}

/// What to serve on, and on what terms.
async fn web(
    arguments: &Run,
    passed: Option<Vec<TcpListener>>,
    clock: &Arc<Clock>,
) -> anyhow::Result<(Vec<tokio::net::TcpListener>, Terms)> {
    let config = arguments.web_config.as_deref();
    let config = config.map(|path| http::Config::open(path, Arc::clone(clock)));
    let config = config.transpose()?.map(Arc::new);
    let listeners = match passed {
        Some(passed) => http::adopt(passed)
            .context("--web.systemd-socket: cannot serve on the sockets that systemd passed; restart its .socket unit")?,
        None => http::bind(&arguments.listen).await?,
    };
    Ok((listeners, Terms::new(arguments.max_requests, config)))
}

/// Says where the metrics are.
fn announce(listeners: &[tokio::net::TcpListener], path: &str, terms: &Terms) -> io::Result<()> {
    let tls = terms.config.as_ref().is_some_and(|it| it.is_tls());
    for listener in listeners {
        let address = listener.local_addr()?;
        info!(%address, path, tls, "serving metrics");
    }
    Ok(())
}

/// Which stacks of openers there will be; says so where those of servers will be missing.
fn stacks(wanted: bool, coverage: &Coverage) -> Stacks {
    if !wanted {
        return Stacks::Off;
    }
    let accept = |answer: &Answer| answer.question == Question::Accept.label();
    let at_accept = coverage
        .answers
        .iter()
        .any(|answer| accept(answer) && answer.twin.is_some());
    if !at_accept {
        warn!("no stack at accept with this backend: only clients have one");
    }
    Stacks::On { at_accept }
}

/// Starts the audit of these namespaces, at this interval.
fn auditor(
    probes: &Probes,
    (namespaces, interval): (Vec<Namespace>, Duration),
    clock: &Arc<Clock>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Auditor> {
    let facts = Facts {
        sight: probes.coverage.sight,
        counts_minisocks_at_end: probes.vocabulary.tw_kill,
    };
    Auditor::start(
        facts,
        namespaces,
        interval,
        Arc::clone(clock),
        Arc::clone(metrics),
    )
    .context("cannot start a thread")
}

/// Opens without waiting: a FIFO that nobody reads is an error, not a reason to hang.
fn append_to(path: &Path) -> io::Result<File> {
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

fn outlet(path: &Path, clock: &Arc<Clock>) -> anyhow::Result<Outlet> {
    let file = if path.as_os_str() == "-" {
        super::standard_output()?
    } else {
        append_to(path)
            .with_context(|| format!("cannot write the events file {}", path.display()))?
    };
    let lines = Lines::start(
        Box::new(file),
        Format::Json,
        Arc::clone(clock),
        OnClosedPipe::CarryOn,
    )
    .context("cannot start a thread")?;
    Ok(Outlet {
        lines,
        filter: Filter::default(),
        remaining: None,
    })
}
