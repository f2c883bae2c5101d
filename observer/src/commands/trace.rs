//! `tcp-observer trace`: one line for each connection as it ends.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::app::{App, Outlet};
use crate::cli::{Log, Trace};
use crate::clock::Clock;
use crate::probe::{self, Probes, StartError};
use crate::settings::Filter;
use crate::sink::lines::{Format, Lines, OnClosedPipe};
use crate::sink::prometheus::{Metrics, Standing};
use crate::sink::status;
use crate::stop::Stop;

/// Prints until it has all lines, its time is over, or it is told to stop.
pub(super) fn trace(arguments: Trace, log: &Log) -> anyhow::Result<()> {
    let Trace {
        json,
        port,
        netns,
        comm,
        endings,
        count,
        duration,
        filters,
        probes,
    } = arguments;
    let selection = filters.selection()?;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let clock = Arc::new(Clock::new());
        let metrics = Arc::new(
            Metrics::new(crate::sink::prometheus::Bounds::default())
                .context("cannot register the metrics")?,
        );
        let stop = Stop::new();
        super::stop_on_signals(&stop)?;
        let format = if json { Format::Json } else { Format::Text };
        let out = Box::new(super::standard_output()?);
        stop_on_closed_pipe(&out, &stop);
        let on_closed_pipe = OnClosedPipe::Stop(stop.clone());
        let lines = Lines::start(out, format, Arc::clone(&clock), on_closed_pipe)
            .context("cannot start a thread")?;
        let filter = Filter {
            port,
            netns,
            comm,
            endings,
        };
        let outlet = Outlet {
            lines,
            filter,
            remaining: count,
        };

        let probes = attach(&probe::Options {
            selection,
            ..probes.options(log)
        })?;
        if let Some(duration) = duration {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                stop.set();
            });
        }
        let app = App::new(probes, Arc::clone(&metrics), clock, stop, Some(outlet));
        let outlet = app.run().await.context("cannot wait for the ring buffer")?;
        anyhow::Ok((outlet, metrics))
    });
    runtime.shutdown_background();
    let (outlet, metrics) = ended?;
    let lines_lost = outlet.map_or(0, |outlet| outlet.lines.finish(super::LAST_LINES));
    if let Some(line) = losses(&metrics.standing(), lines_lost) {
        super::say(&line);
    }
    Ok(())
}

/// Attaches, and says what.
fn attach(options: &probe::Options) -> Result<Probes, StartError> {
    let probes = probe::attach(options)?;
    if let Some(line) = &probes.not_granted {
        super::say(line);
    }
    super::say(&format!("attached: {}", status::summary(&probes.coverage)));
    Ok(probes)
}

/// Ends the trace when its reader goes away, even if no connection ends after that. Regular
/// files have no readers, and cannot be watched.
fn stop_on_closed_pipe(out: &File, stop: &Stop) {
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; the watch owns its descriptor and keeps it open"
    )]
    let watched = out
        .as_fd()
        .try_clone_to_owned()
        .and_then(|out| AsyncFd::try_with_interest(out, Interest::ERROR).map_err(Into::into));
    if let Ok(watched) = watched {
        let stop = stop.clone();
        tokio::spawn(async move {
            if watched.ready(Interest::ERROR).await.is_ok() {
                stop.set();
            }
        });
    }
}

/// What was lost, in one line; nothing if nothing was.
fn losses(standing: &Standing, lines_lost: u64) -> Option<String> {
    let mut parts = Vec::new();
    let events: u64 = standing.lost.iter().map(|(_, lost)| lost).sum();
    if events > 0 {
        let kinds: Vec<_> = standing
            .lost
            .iter()
            .filter(|(_, lost)| *lost > 0)
            .map(|(kind, lost)| format!("{} {lost}", kind.label()))
            .collect();
        let kinds = kinds.join(", ");
        parts.push(format!(
            "{events} events ({kinds}); if the ring was full, a larger --ring-size loses fewer"
        ));
    }
    for (count, what) in [
        (
            lines_lost,
            "lines that standard output did not take in time",
        ),
        (standing.decode_errors, "records that are not events"),
        (
            standing.evictions,
            "connections that were too many to follow",
        ),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    (!parts.is_empty()).then(|| format!("lost: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use observer_ebpf::wire::Kind;

    use super::*;

    #[test]
    fn losses_are_one_line_and_no_loss_is_none() {
        let mut standing = Metrics::new(crate::sink::prometheus::Bounds::default())
            .unwrap()
            .standing();
        assert_eq!(losses(&standing, 0), None);
        standing.lost = vec![
            (Kind::StateChanged, 2),
            (Kind::ResetSent, 0),
            (Kind::Destroyed, 1),
        ];
        let line = losses(&standing, 7).unwrap();
        assert!(
            line.starts_with("lost: 3 events (state_changed 2, destroyed 1);"),
            "{line}"
        );
        assert!(line.contains("; 7 lines"), "{line}");
    }
}
