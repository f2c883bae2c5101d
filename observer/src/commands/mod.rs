//! What each subcommand does.
//!
//! Takes a parsed command line; gives an exit code. An error becomes one line on standard
//! error here and nowhere else.

mod check;
mod explain;
mod leaks;
mod run;
mod symbolize;
mod trace;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command, Format, Log};
use crate::memory;
use crate::stop::Stop;

/// How long the last lines may take to be written once the agent was told to stop.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Does what the command line says.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { command, log } = cli;
    memory::keep_large_apart();
    start_log(&log);
    let done = match command {
        Command::Run(arguments) => run::run(arguments, &log),
        Command::Trace(arguments) => trace::trace(arguments, &log),
        Command::Check(arguments) => return check::check(&arguments, &log),
        Command::Leaks(arguments) => return leaks::leaks(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Symbolize => symbolize::symbolize(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &anyhow::Error) {
    say(&format!("tcp-observer: {error:#}"));
}

/// One line on standard error. Where that is closed, nobody wants to know.
fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

fn start_log(log: &Log) {
    let level = LevelFilter::from_level(log.level.into());
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr);
    let builder = builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    match log.format {
        Format::Text => builder.with_target(false).init(),
        Format::Json => builder.json().init(),
    }
}

/// The event loop runs on the calling thread, everything else on one more.
fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("web")
        .enable_all()
        .build()
        .context("cannot start a thread")
}

/// Turns SIGINT and SIGTERM into the order to stop.
fn stop_on_signals(stop: &Stop) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.set();
    });
    Ok(())
}

/// Standard output without the buffer that writes at every line end.
fn standard_output() -> anyhow::Result<File> {
    let owned = io::stdout().as_fd().try_clone_to_owned();
    owned.map(File::from).context("cannot use standard output")
}
