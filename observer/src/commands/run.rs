//! `tcp-observer run`: the agent.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tracing::{info, warn};

use crate::app::{App, Outlet};
use crate::cli::{Log, Run};
use crate::clock::Clock;
use crate::http::{self, Site};
use crate::probe;
use crate::settings::Filter;
use crate::sink::lines::{Format, Lines, OnClosedPipe};
use crate::sink::prometheus::Metrics;
use crate::sink::status;
use crate::stop::Stop;

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(arguments: Run, log: &Log) -> anyhow::Result<()> {
    let Run {
        listen,
        telemetry_path,
        events_file,
        probes,
    } = arguments;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let clock = Arc::new(Clock::new());
        let metrics = Arc::new(Metrics::new().context("cannot register the metrics")?);
        let stop = Stop::new();
        super::stop_on_signals(&stop)?;
        let listeners = http::bind(&listen).await?;
        let outlet = events_file.map(|path| outlet(&path, &clock)).transpose()?;
        for listener in &listeners {
            info!(address = %listener.local_addr()?, path = telemetry_path, "serving metrics");
        }
        let site = Arc::new(Site::new(
            Arc::clone(&metrics),
            Arc::clone(&clock),
            telemetry_path,
        ));
        http::serve(listeners, &site, &stop);

        let probes = probe::attach(probes.options(log))?;
        let coverage = probes.coverage.clone();
        let app = App::new(probes, metrics, clock, stop.clone(), outlet);
        // Whoever reads `attached` in the log finds the agent ready.
        site.ready(coverage.clone());
        info!(probes = status::summary(&coverage), "attached");
        for blind_to in status::blind_to(&coverage) {
            info!("not seen directly: {blind_to}");
        }
        let outlet = app.run().await;
        stop.set();
        outlet.context("cannot wait for the ring buffer")
    });
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

/// Opens without waiting: a FIFO that nobody reads is an error, not a reason to hang.
fn append_to(path: &Path) -> std::io::Result<File> {
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
