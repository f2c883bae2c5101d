//! What the workload raises, and what it leaves quiet.
//!
//! Tables: each alert that ships is in one of the first two.

use std::time::Duration;

/// Longer than what the last thing that was made needs to be seen, and the longest `for`, with
/// seconds for minutes.
pub(super) const ALL_WAITED: Duration = Duration::from_secs(40);

/// Alerts that must fire, and what makes them.
pub(super) const RAISED: &[(&str, &str)] = &[
    (
        "TcpConnectsWithoutPort",
        "a client of 200 ports asks for more",
    ),
    (
        "TcpPortExhaustionAhead",
        "a client closes first and takes one port after another",
    ),
    ("TcpCloseWaitLeakGrowing", "a server forgets to close"),
    ("TcpCloseWaitLeak", "the same"),
    ("TcpResetStorm", "a server resets 120 of 150 connections"),
    (
        "TcpKeepaliveRace",
        "a server closes while requests are on the way",
    ),
    ("TcpListenerClosed", "a listener closes with a full queue"),
    (
        "TcpClosingStall",
        "clients do not read, and their server has closed",
    ),
    (
        "TcpFinWait2Stall",
        "a client has shut down, and its server does not close",
    ),
    (
        "TcpTimeWaitOverflow",
        "a namespace with room for 50 TIME_WAIT gets more",
    ),
    ("TcpTimeWaitNearLimit", "the same"),
];

/// The alert that must fire when the agent has ended.
pub(super) const WHEN_ENDED: &str = "TcpObserverDown";

/// Fires on a machine that hides processes or namespaces from root, such as a sandbox.
pub(super) const NOT_WHOLE: &str = "TcpObserverCensusNotWhole";

/// Endings that are told as others where a question has no answer: the kernel tests have the rows.
pub(super) const NEED: &[(&str, &str)] = &[
    ("timeout_fin_wait2", "minisock"),
    ("reset_data_after_close", "minisock"),
];

/// Alerts that must not fire, and why nothing here makes them. promtool's tests do.
pub(super) const NOT_MADE: &[(&str, &str)] = &[
    ("TcpOrphanPressure", "its limit is the whole host's"),
    ("TcpObserverAbsent", "the agent is a target"),
    ("TcpObserverRestarts", "it is started once"),
    ("TcpObserverBlind", "its probes stay attached"),
    ("TcpObserverCensusStale", "it looks each second"),
    (NOT_WHOLE, "it is root"),
    ("TcpObserverEventsLost", "it keeps up"),
    ("TcpObserverSheds", "it has no budget"),
    ("TcpObserverTrackerFull", "connections are few"),
    ("TcpObserverRecordsUnreadable", "it is sound"),
    ("TcpObserverLinesLost", "it writes no events file"),
    (
        "TcpObserverAuditMismatch",
        "it sees all that the kernel counts",
    ),
    (
        "TcpObserverAuditNamespaceGone",
        "it audits its own namespace",
    ),
    ("TcpObserverOwnersBeyondBound", "its processes are few"),
];

/// Panels that may be empty here: dashboard, title, why.
pub(super) const MAY_BE_EMPTY: &[(&str, &str, &str)] = &[];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::e2e::shipped::{SHIPPED, read};

    #[test]
    fn no_alert_waits_for_longer_than_all_do() {
        // The audit is the slowest: two intervals of 5 s, judged 6 s later; then scraped, evaluated.
        let seen = Duration::from_secs(5 + 5 + 6 + 1 + 1);
        for alert in read(SHIPPED).unwrap() {
            let seconds: u64 = alert.wait.trim_end_matches('m').parse().unwrap();
            assert!(seen + Duration::from_secs(seconds) < ALL_WAITED);
        }
    }

    #[test]
    fn each_alert_that_ships_is_made_or_is_said_why_not() {
        let shipped = read(SHIPPED).unwrap();
        let shipped: Vec<&str> = shipped.iter().map(|alert| alert.name.as_str()).collect();
        let told = RAISED.iter().chain(NOT_MADE).map(|(name, _)| *name);
        let told: Vec<&str> = told.chain([WHEN_ENDED]).collect();
        let unique: BTreeSet<&str> = told.iter().copied().collect();
        assert_eq!(unique.len(), told.len(), "one is told twice");
        assert_eq!(unique, shipped.into_iter().collect());
    }
}
