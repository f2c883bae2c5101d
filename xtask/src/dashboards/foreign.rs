//! Series that every target of a Prometheus has, and not the agent alone.
//! Takes a panel; gives the queries that would show other programs too, because a variable that
//! stands at All matches every job.

use std::collections::BTreeSet;

use super::model::{Panel, Target};
use super::promql;

/// The series that only the agent has, and each of them.
const AGENT: &str = "tcp_observer_build_info";

/// What is wrong with the queries of a panel; one that does not parse is another rule's.
pub(super) fn breaches(panel: &Panel) -> impl Iterator<Item = String> {
    panel.targets.iter().filter_map(breach)
}

fn breach(target: &Target) -> Option<String> {
    let expr = promql::parse(&target.expr).ok()?;
    let uses = promql::uses(&expr).into_iter();
    let names = uses.filter_map(|it| it.selector.name.as_deref());
    let names: BTreeSet<&str> = names.collect();
    let of_all = names.iter().find(|name| is_of_all(name))?;
    let query = &target.ref_id;
    (!names.contains(AGENT)).then(|| {
        format!("query {query}: every target has {of_all}; match it with {AGENT}, by job at least")
    })
}

fn is_of_all(name: &str) -> bool {
    name == "up" || name.starts_with("process_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(expr: &str) -> Vec<String> {
        let target = json!({"refId": "A", "expr": expr});
        let panel: Panel = serde_json::from_value(json!({"targets": [target]})).unwrap();
        breaches(&panel).collect()
    }

    #[test]
    fn what_every_target_has_is_asked_of_the_agent_only() {
        for (expr, name) in [
            ("sum(1 - up{job=~\"$job\"})", "up"),
            (
                "max(rate(process_cpu_seconds_total{job=~\"$job\"}[$__rate_interval]))",
                "process_cpu_seconds_total",
            ),
            (
                "process_open_fds / tcp_observer_tracked_connections",
                "process_open_fds",
            ),
        ] {
            let found = found(expr);
            assert_eq!(found.len(), 1, "{expr}: {found:?}");
            assert!(found[0].contains(&format!("has {name};")), "{found:?}");
        }
    }

    #[test]
    fn what_is_matched_with_the_agent_is_its_own() {
        for expr in [
            "sum(1 - (up and on (job) group by (job) (last_over_time(tcp_observer_build_info[1d]))))",
            "max(process_max_fds and on (job, instance) tcp_observer_build_info)",
            "sum(rate(tcp_observer_events_total[$__rate_interval]))",
        ] {
            assert_eq!(found(expr), [""; 0]);
        }
    }
}
