//! The command line: what may be typed, and what `--help` says of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::classify::Ending;
use crate::{probe, settings};

const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked, or was told to stop by SIGINT or SIGTERM
  1  it could not start or go on; one line on standard error says why
  2  the command line is wrong

`check` has its own: 0 everything is seen, 1 something is not, 2 the agent cannot run.";

/// Says how every TCP connection of this host ended, why, and who ended it.
#[derive(Debug, Parser)]
#[command(name = "tcp-observer", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent and serve what it counts to Prometheus
    Run(Run),
    /// Print one line for each connection as it ends
    #[command(after_help = "\
It ends with code 0 after --count lines, after --duration, on SIGINT or SIGTERM, or when
standard output is closed. The filters run before --count. A connection between two sockets
of this host has two ends, and each end has a line of its own.")]
    Trace(Trace),
    /// Say what this kernel and these privileges allow, and what to do about the rest
    #[command(after_help = "\
Exit codes:
  0  full: every question is answered directly
  1  degraded: some things are inferred or not seen
  2  the agent cannot run here, or the command line is wrong")]
    Check(Check),
}

/// `tcp-observer run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Address to serve on; may be repeated. `:PORT` is every address of this host
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS:PORT",
        default_value = settings::DEFAULT_ADDRESS,
        value_parser = settings::listen_address
    )]
    pub listen: Vec<SocketAddr>,

    /// Path of the metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = settings::telemetry_path
    )]
    pub telemetry_path: String,

    /// Append one JSON object for each ended connection to FILE; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub events_file: Option<PathBuf>,

    /// How to load the probes.
    #[command(flatten)]
    pub probes: Probes,
}

/// `tcp-observer trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Only connections with this port at either end
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,

    /// Only connections of the network namespace with this inode number
    /// (`stat -Lc %i /proc/PID/ns/net`)
    #[arg(long, value_name = "INODE")]
    pub netns: Option<u32>,

    /// Only connections closed, accepted or connected by a process of this name
    #[arg(long, value_name = "NAME", value_parser = settings::comm)]
    pub comm: Option<String>,

    /// Only this ending; may be repeated
    #[arg(long = "ending", value_name = "ENDING", value_parser = endings(), hide_possible_values = true)]
    pub endings: Vec<Ending>,

    /// Stop after N lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after this time, such as 10s or 1m30s
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    pub duration: Option<Duration>,

    /// How to load the probes.
    #[command(flatten)]
    pub probes: Probes,
}

/// `tcp-observer check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// How to load the probes.
    #[command(flatten)]
    pub probes: Probes,
}

/// How to load the probes.
#[derive(Clone, Copy, Debug, Args)]
pub struct Probes {
    /// Which kind of probe to prefer
    #[arg(long, value_enum, value_name = "BACKEND", default_value = "auto")]
    pub backend: Backend,

    /// Memory for records on their way from the kernel, a power of two
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = settings::ring_bytes)]
    pub ring_size: u32,
}

impl Probes {
    /// The same in the words of the loader.
    pub fn options(self, log: &Log) -> probe::Options {
        probe::Options {
            backend: self.backend.into(),
            kernel_log: log.kernel,
            ring_bytes: self.ring_size,
        }
    }
}

/// Which kind of probe to prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The best that loads, question by question
    Auto,
    /// BPF trampolines
    Fentry,
    /// kprobes and kretprobes
    Kprobe,
    /// BTF tracepoints only
    Tracepoint,
}

impl From<Backend> for probe::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Fentry => Self::Fentry,
            Backend::Kprobe => Self::Kprobe,
            Backend::Tracepoint => Self::Tracepoint,
        }
    }
}

/// How to log. Logs go to standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct Log {
    /// Least level to log
    #[arg(
        long = "log.level",
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub level: Level,

    /// How a log line looks
    #[arg(
        long = "log.format",
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: Format,

    /// Log what the probes say from inside the kernel, too
    #[arg(long = "log.kernel", global = true)]
    pub kernel: bool,
}

/// Least level to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the levels are words that every logger shares")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people, with key=value fields
    Text,
    /// One JSON object a line
    Json,
}

/// Accepts the labels of endings; an unknown one is answered with the list of them.
fn endings() -> impl TypedValueParser<Value = Ending> {
    PossibleValuesParser::new(Ending::ALL.map(|ending| PossibleValue::new(ending.label())))
        .try_map(|label| Ending::from_label(&label).ok_or("not an ending"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_reads_as_recorded() {
        let mut text = Cli::command().term_width(100).render_help().to_string();
        for name in ["run", "trace", "check"] {
            let mut command = Cli::command().term_width(100);
            command.build();
            let sub = command.find_subcommand_mut(name).unwrap();
            let help = sub.render_help().to_string();
            text.extend(["\n===== ", name, " =====\n", &help]);
        }
        expect_file!["../testdata/help.txt"].assert_eq(&text);
    }

    #[test]
    fn every_ending_is_accepted_and_an_unknown_one_is_answered_with_the_list() {
        for ending in Ending::ALL {
            let line = ["tcp-observer", "trace", "--ending", ending.label()];
            let Command::Trace(trace) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not a trace");
            };
            assert_eq!(trace.endings, [ending]);
        }
        let line = ["tcp-observer", "trace", "--ending", "closed"];
        let error = Cli::try_parse_from(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("reset_unread_data"), "{error}");
    }

    #[test]
    fn addresses_may_be_repeated_in_both_styles() {
        let line = [
            "tcp-observer",
            "run",
            "--web.listen-address=127.0.0.1:1",
            "--web.listen-address",
            "[::1]:2",
        ];
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not a run");
        };
        assert_eq!(run.listen.len(), 2);
    }
}
