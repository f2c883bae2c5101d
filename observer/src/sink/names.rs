//! The name, help and labels of every metric.
//!
//! Whatever a scraper may see is in [`ALL`]; the README's table is made from it, and no other
//! file spells a metric's name.

use observer_ebpf::wire::manifest::Twin;

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
    VERDICTS: counter "tcp_observer_verdicts_total" ["confidence"]
        "Connection ends that ended, by how sure the agent is of the ending.";
    RESETS_SENT: counter "tcp_observer_resets_sent_total" ["cause"]
        "Resets that this host sent, by cause.";
    RESETS_RECEIVED: counter "tcp_observer_resets_received_total" []
        "Connection ends that a reset of the peer ended.";
    TIME_WAIT_ENDED: counter "tcp_observer_time_wait_ended_total" ["how"]
        "TIME_WAIT sockets that the kernel let go of.";
    PHASE_DURATION: histogram "tcp_observer_phase_duration_seconds" ["phase"]
        "Time that connection ends spent in each phase of their life.";
    BYTES_ABANDONED: counter "tcp_observer_bytes_abandoned_total" ["queue"]
        "Bytes that were left in a queue of an ended connection: received and not read, written and not sent, sent and not acknowledged.";
    EVENTS: counter "tcp_observer_events_total" ["kind"]
        "Events that the probes delivered.";
    EVENTS_LOST: counter "tcp_observer_events_lost_total" ["kind"]
        "Events that found no room in the ring buffer, or that came while their probe was running.";
    DECODE_ERRORS: counter "tcp_observer_decode_errors_total" []
        "Ring records that are not events.";
    TRACKED: gauge "tcp_observer_tracked_connections" []
        "Connection ends that the agent follows.";
    EVICTIONS: counter "tcp_observer_tracker_evictions_total" []
        "Connection ends that the agent stopped following because it followed too many.";
    PROBE_ATTACHED: gauge "tcp_observer_probe_attached" ["question", "twin"]
        "Whether this twin of the probe answers the question (1) or not (0).";
    LINES_LOST: counter "tcp_observer_events_file_lines_lost_total" []
        "Lines that could not be written to the events file.";
    BUILD_INFO: gauge "tcp_observer_build_info" ["version"]
        "1, with the version of the agent.";
}

/// Upper bounds of the buckets of [`PHASE_DURATION`]: from a round trip in a data centre to
/// an idle connection.
pub const PHASE_BUCKETS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

/// The twins of a probe.
pub const TWINS: [Twin; 3] = [Twin::Fentry, Twin::Kprobe, Twin::Tracepoint];

/// The queues of [`BYTES_ABANDONED`].
pub const QUEUES: [&str; 3] = ["unread", "unsent", "unacked"];

/// The values of `how` of [`TIME_WAIT_ENDED`], in the order of [`how_index`].
pub const HOW: [&str; 5] = ["expired", "reused", "reset", "destroyed", "other"];

/// Where in [`HOW`] this end stands.
pub const fn how_index(end: TimeWaitEnd) -> usize {
    match end {
        TimeWaitEnd::Expired => 0,
        TimeWaitEnd::Reused => 1,
        TimeWaitEnd::Reset => 2,
        TimeWaitEnd::Destroyed => 3,
        TimeWaitEnd::Other => 4,
    }
}
