//! The command line: what may be typed, and what `--help` says of it.

mod ending;
mod filters;
mod log;
mod probes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::classify::Ending;
use crate::settings;
use crate::sink::prometheus::Bounds;

use ending::EndingParser;
pub use filters::Filters;
pub use log::{Format, Level, Log};
pub use probes::{Backend, Probes};

const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked, or was told to stop by SIGINT or SIGTERM
  1  it could not start or go on; one line on standard error says why
  2  the command line is wrong

`check` has its own: 0 everything is seen, 1 something is not, 2 the agent cannot run.
`leaks` too: 0 no leak, 1 a leak, 2 it could not look or only in part.";

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
of this host has two ends, and each end has a line of its own. `tcp-observer explain ENDING`
says what an ending means.")]
    Trace(Trace),
    /// Say what this kernel and these privileges allow, and what to do about the rest
    #[command(after_help = "\
Exit codes:
  0  full: every question is answered directly
  1  degraded: some things are inferred or not seen
  2  the agent cannot run here, or the command line is wrong")]
    Check(Check),
    /// Say who holds sockets that the peer closed long ago (CLOSE_WAIT)
    #[command(after_help = "\
It asks the kernel once, in every network namespace of this host, and needs neither a probe nor
a running agent. Ages are lower bounds.

Exit codes:
  0  no leak
  1  a leak
  2  it could not look, or only in part, or the command line is wrong")]
    Leaks(Leaks),
    /// Say what an ending means, what causes it and what to look at next
    #[command(after_help = "\
Without ENDING it lists all of them. It needs no privilege and looks at nothing of this host.")]
    Explain(Explain),
    /// What the agent starts to name the functions of stacks; of no use to anybody else
    #[command(hide = true)]
    Symbolize,
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

    /// Serve on the sockets that systemd passed, in place of --web.listen-address
    #[arg(long = "web.systemd-socket", conflicts_with = "listen")]
    pub systemd_socket: bool,

    /// TLS, client certificates, users and headers, in the YAML of the exporters of Prometheus.
    /// It is read anew for every connection and every request, and so are the files that it names
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// Requests answered at once; more are told to come back. 0 is no bound
    #[arg(long = "web.max-requests", value_name = "N", default_value = "40")]
    pub max_requests: usize,

    /// Append one JSON object for each ended connection to FILE; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub events_file: Option<PathBuf>,

    /// Audit the network namespace at PATH (/run/netns/NAME, /proc/PID/ns/net) beside the agent's
    /// own: compare the kernel's counters there with what was observed. May be repeated, up to 64
    /// times. It is no filter: connections of every namespace are observed in any case
    #[arg(
        long = "netns",
        value_name = "PATH",
        conflicts_with_all = ["filter_ports", "filter_networks", "filter_netns", "filter_cgroups", "no_loopback"]
    )]
    pub netns: Vec<PathBuf>,

    /// Time between two readings of the kernel's counters, such as 30s or 5m
    #[arg(
        long,
        value_name = "TIME",
        default_value = settings::DEFAULT_AUDIT_INTERVAL,
        value_parser = settings::interval
    )]
    pub audit_interval: Duration,

    /// How long a socket must have been in CLOSE_WAIT to count as leaked, or have hung elsewhere in
    /// its close to count as stalled
    #[arg(
        long = "close-wait.leak-after",
        value_name = "TIME",
        default_value = settings::DEFAULT_LEAK_AFTER,
        value_parser = settings::duration
    )]
    pub leak_after: Duration,

    /// Time between two looks at the sockets of all network namespaces; they rest longer if they
    /// take the kernel long
    #[arg(
        long,
        value_name = "TIME",
        default_value = settings::DEFAULT_CENSUS_INTERVAL,
        value_parser = settings::interval
    )]
    pub census_interval: Duration,

    /// Remember from where in its program each connection was opened, and tell it of those that
    /// leak: the functions that called connect or accept. Off unless given; it costs time at each
    /// connection
    #[arg(long)]
    pub stacks: bool,

    /// How much of one CPU the agent may take for events and for its census, such as 5%; what the
    /// probes, scrapes and the writing of --events-file take is not in it. Above that it leaves out
    /// timelines of connections, then how they come to be (who opened them, when, which side this
    /// host was), and says so; then it rests, and what finds no room meanwhile is lost and counted.
    /// Without it, it takes what it needs
    #[arg(long, value_name = "SHARE", value_parser = settings::cpu_budget)]
    pub cpu_budget: Option<f64>,

    /// How many series there may be.
    #[command(flatten)]
    pub series: Series,

    /// How to load the probes.
    #[command(flatten)]
    pub probes: Probes,

    /// Which connections to observe.
    #[command(flatten)]
    pub filters: Filters,
}

/// How many series there may be.
#[derive(Clone, Copy, Debug, Args)]
pub struct Series {
    /// Processes that have series of their own, of each metric that has a process; all others share
    /// one. tcp_observer_series_limit is the most series that follow from these three
    #[arg(long = "metrics.max-owners", value_name = "N", default_value_t = Bounds::default().owners, value_parser = settings::most)]
    pub owners: usize,

    /// Local ports that have series of their own
    #[arg(long = "metrics.max-ports", value_name = "N", default_value_t = Bounds::default().ports, value_parser = settings::most)]
    pub ports: usize,

    /// Remote addresses and ports that have series
    #[arg(long = "metrics.max-destinations", value_name = "N", default_value_t = Bounds::default().destinations, value_parser = settings::most)]
    pub destinations: usize,
}

impl From<Series> for Bounds {
    fn from(series: Series) -> Self {
        Self {
            owners: series.owners,
            ports: series.ports,
            destinations: series.destinations,
        }
    }
}

/// `tcp-observer trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Print only connections with this port at either end; the others are still observed, while
    /// --filter.port leaves them out inside the kernel
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,

    /// Print only connections of the network namespace with this inode number
    /// (`stat -Lc %i /proc/PID/ns/net`); the others are still observed, see --filter.netns
    #[arg(long, value_name = "INODE")]
    pub netns: Option<u32>,

    /// Print only connections closed, accepted or connected by a process of this name
    #[arg(long, value_name = "NAME", value_parser = settings::comm)]
    pub comm: Option<String>,

    /// Print only this ending; may be repeated
    #[arg(long = "ending", value_name = "ENDING", value_parser = EndingParser, hide_possible_values = true)]
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

    /// Which connections to observe.
    #[command(flatten)]
    pub filters: Filters,
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

/// `tcp-observer leaks`.
#[derive(Debug, Args)]
pub struct Leaks {
    /// How long a socket must have been in CLOSE_WAIT to count as leaked
    #[arg(long, value_name = "TIME", default_value = settings::DEFAULT_LEAK_AFTER, value_parser = settings::duration)]
    pub after: Duration,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Exit with 0 or 1 even if a part of the host could not be looked at
    #[arg(long)]
    pub partial_ok: bool,
}

/// `tcp-observer explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The ending, as `trace` and the metrics spell it
    #[arg(value_name = "ENDING", value_parser = EndingParser, hide_possible_values = true)]
    pub ending: Option<Ending>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
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
        for name in ["run", "trace", "check", "leaks", "explain"] {
            let mut command = Cli::command().term_width(100);
            command.build();
            let sub = command.find_subcommand_mut(name).unwrap();
            let help = sub.render_help().to_string();
            text.extend(["\n===== ", name, " =====\n", &help]);
        }
        expect_file!["../../testdata/help.txt"].assert_eq(&text);
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
