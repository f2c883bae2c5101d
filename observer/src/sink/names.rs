//! The name, help and labels of every metric.
//!
//! Whatever a scraper may see is in [`ALL`]; the README's table is made from it, and no other
//! file spells a metric's name.

use observer_ebpf::wire::manifest::Twin;

use crate::classify::Initiator;
use crate::track::TimeWaitEnd;

/// What is said of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// Prometheus' type of it.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, in one sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: stringify!($kind),
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every metric of this agent's own.
        pub const ALL: [Metric; [$($name),+].len()] = [$($constant),+];
    };
}

metrics! {
    CONNECTIONS_ENDED: counter "tcp_observer_connections_ended_total" ["ending", "role"]
        "Connection ends that ended; a connection between two sockets of this host counts once for each end.";
    INITIATED: counter "tcp_observer_initiated_total" ["initiator", "role"]
        "Connection ends that ended, by the side whose FIN or RST came first; kernel: it gave up.";
    OWNER_ENDED: counter "tcp_observer_owner_connections_ended_total" ["comm", "group"]
        "Connection ends that ended, by the process that closed them, or that had opened them if none here closed, and by group of endings.";
    PORT_ENDED: counter "tcp_observer_port_connections_ended_total" ["port", "group"]
        "Connection ends that were accepted here and ended, by local port and group of endings.";
    VERDICTS: counter "tcp_observer_verdicts_total" ["confidence"]
        "Connection ends that ended, by how sure the agent is of the ending.";
    RESETS_SENT: counter "tcp_observer_resets_sent_total" ["cause"]
        "Resets that this host sent, by cause.";
    RESETS_RECEIVED: counter "tcp_observer_resets_received_total" []
        "Connection ends that a reset of the peer ended.";
    TIME_WAIT_ENDED: counter "tcp_observer_time_wait_ended_total" ["how"]
        "TIME_WAIT sockets that the kernel let go of.";
    TIME_WAIT_STARTED: counter "tcp_observer_time_wait_started_total" ["role"]
        "Connection ends that closed first and went to TIME_WAIT, or with tracepoints would have, if there was room.";
    TIME_WAIT_OVERFLOWS: counter "tcp_observer_time_wait_overflows_total" []
        "TIME_WAIT that the kernel left out for want of room or of memory, by its own counter (TCPTimeWaitOverflow), in all network namespaces since the first census.";
    NO_PORT: counter "tcp_observer_connects_without_port_total" ["comm"]
        "Connects that failed with EADDRNOTAVAIL because no local port was free, by the process that connects.";
    PHASE_DURATION: histogram "tcp_observer_phase_duration_seconds" ["phase"]
        "Time that connection ends spent in each phase of their life.";
    CLOSE_WAIT_DURATION: histogram "tcp_observer_close_wait_duration_seconds" ["port"]
        "Time from the peer's FIN to the FIN of this side, or to another end, of connections that were accepted here, by local port.";
    BYTES_ABANDONED: counter "tcp_observer_bytes_abandoned_total" ["queue"]
        "Bytes that were left in a queue of an ended connection: received and not read, written and not sent, sent and not acknowledged.";
    EVENTS: counter "tcp_observer_events_total" ["kind"]
        "Events that the probes delivered.";
    EVENTS_LOST: counter "tcp_observer_events_lost_total" ["kind", "cause"]
        "Events that found no room in the ring buffer (ring_full), or that no probe was shown because those for them were running on that CPU: at most so many (probe_busy).";
    DECODE_ERRORS: counter "tcp_observer_decode_errors_total" []
        "Ring records that are not events.";
    TRACKED: gauge "tcp_observer_tracked_connections" ["stage"]
        "Connection ends that the agent follows, by stage: those that this host has not begun to close (open), and the others.";
    EVICTIONS: counter "tcp_observer_tracker_evictions_total" []
        "Connection ends that the agent stopped following because it followed too many.";
    STACKS_DROPPED: counter "tcp_observer_stacks_dropped_total" []
        "Stacks of processes that opened a connection, with --stacks, for which there was no room.";
    SHED: gauge "tcp_observer_shed" ["detail"]
        "Whether a detail is left out now to keep to --cpu-budget (1) or not (0): timelines of connections, then how they come to be (births; then roles and openers of new connections are unknown, and open ones are not followed), then events, which are then lost and counted.";
    PROBE_ATTACHED: gauge "tcp_observer_probe_attached" ["question", "twin"]
        "Whether this twin of the probe answers the question (1) or not (0).";
    LINES_LOST: counter "tcp_observer_events_file_lines_lost_total" []
        "Lines that could not be written to the events file.";
    AUDIT_KERNEL: counter "tcp_observer_audit_kernel_total" ["netns", "counter"]
        "What the kernel counted in an audited network namespace since the agent attached, by the kernel's counter.";
    AUDIT_OBSERVED: counter "tcp_observer_audit_observed_total" ["netns", "counter"]
        "What the agent observed of the same.";
    AUDIT_UNEXPLAINED: gauge "tcp_observer_audit_unexplained" ["netns", "counter"]
        "How much more (or less, below 0) the kernel counted than was observed and than may differ for a known reason. Absent where the probes in force do not see all that the counter counts.";
    AUDIT_UP: gauge "tcp_observer_audit_up" ["netns"]
        "Whether the kernel's counters of a network namespace given with --netns, or of all that have no series of their own, can be read (1) or not (0).";
    SOCKETS: gauge "tcp_observer_sockets" ["state"]
        "TCP sockets in a state at the last census of all network namespaces.";
    FINDINGS: gauge "tcp_observer_findings" ["kind"]
        "Findings that are raised and not cleared; /api/v1/findings lists them.";
    LEAKED: gauge "tcp_observer_close_wait_leaked_sockets" ["comm"]
        "Sockets in CLOSE_WAIT for longer than --close-wait.leak-after, by the process that holds them.";
    LEAKED_OLDEST: gauge "tcp_observer_close_wait_oldest_seconds" []
        "How long the oldest leaked socket has been in CLOSE_WAIT; 0 if there is none.";
    PORTS_TAKEN: gauge "tcp_observer_ephemeral_ports_taken_ratio" []
        "The highest share of the local ports of a network namespace that is taken for any one destination; at 1 connect fails with EADDRNOTAVAIL.";
    DESTINATION_PORTS_TAKEN: gauge "tcp_observer_destination_ports_taken_ratio" ["destination"]
        "The share of the local ports that is taken for a remote address and port, for those destinations where it is highest.";
    TIME_WAIT_SOCKETS: gauge "tcp_observer_time_wait_sockets" ["role"]
        "Sockets in TIME_WAIT at the last census, by the side of the connection that this host was.";
    TIME_WAIT_SHARE: gauge "tcp_observer_time_wait_limit_used_ratio" []
        "The highest share of its tcp_max_tw_buckets that any network namespace uses; at 1 the kernel leaves TIME_WAIT out.";
    CENSUS_CORRECTIONS: counter "tcp_observer_census_corrections_total" ["kind"]
        "What a census found the events wrong about: connections that are gone (ghost), and sockets in CLOSE_WAIT that were missed (missed).";
    CENSUS_WHOLE: gauge "tcp_observer_census_whole" []
        "Whether the last census saw every network namespace and every process (1) or not (0).";
    CENSUS_AT: gauge "tcp_observer_census_timestamp_seconds" []
        "When the last census was over, in seconds since 1970; 0 before the first. What the census tells is as old as that.";
    CENSUS_DURATION: gauge "tcp_observer_census_duration_seconds" []
        "How long the last census took, the search for holders included.";
    SERIES: gauge "tcp_observer_series" []
        "Series on this page.";
    SERIES_LIMIT: gauge "tcp_observer_series_limit" []
        "The most series that the page can have with these --metrics.max-owners, --metrics.max-ports and --metrics.max-destinations.";
    BUILD_INFO: gauge "tcp_observer_build_info" ["version"]
        "1, with the version of the agent.";
}

/// Upper bounds of the buckets of [`PHASE_DURATION`]: from a round trip in a data centre to
/// an idle connection.
pub const PHASE_BUCKETS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

/// The values of `kind` of [`CENSUS_CORRECTIONS`].
pub const CORRECTIONS: [&str; 2] = ["ghost", "missed"];

/// The label of what has no series of its own.
pub const OTHER: &str = "other";

/// The label of what nobody is known of.
pub const UNKNOWN: &str = "unknown";

/// The values of `initiator` of [`INITIATED`]: those of [`Initiator::ALL`] in their order, and one
/// where it is not known.
pub const INITIATORS: [&str; Initiator::ALL.len() + 1] = [
    Initiator::Local.label(),
    Initiator::Peer.label(),
    Initiator::Both.label(),
    Initiator::Kernel.label(),
    UNKNOWN,
];

/// The twins of a probe.
pub const TWINS: [Twin; 3] = [Twin::Fentry, Twin::Kprobe, Twin::Tracepoint];

/// The values of `cause` of [`EVENTS_LOST`], in the order of [`Cause`].
pub const LOSSES: [&str; 2] = ["ring_full", "probe_busy"];

/// Why events were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The ring had no room for them: a larger one has.
    RingFull,
    /// The kernel does not run a probe inside itself.
    ProbeBusy,
}

/// The queues of [`BYTES_ABANDONED`].
pub const QUEUES: [&str; 3] = ["unread", "unsent", "unacked"];

/// The values of `how` of [`TIME_WAIT_ENDED`], in the order of [`how_index`].
pub const HOW: [&str; 5] = ["expired", "reused", "reset", "destroyed", "other"];

/// Stages of a connection that is followed.
pub const STAGES: [&str; 2] = ["open", "closing"];

/// Where in [`HOW`] this end stands.
pub const fn how_index(end: TimeWaitEnd) -> usize {
    match end {
        TimeWaitEnd::Expired => 0,
        TimeWaitEnd::Reused | TimeWaitEnd::Recycled => 1,
        TimeWaitEnd::Reset => 2,
        TimeWaitEnd::Destroyed => 3,
        TimeWaitEnd::Other => 4,
    }
}
