//! What a measurement may be at most: `limits.json`.
//!
//! Takes what was measured; gives a [`Check`] that says whether it is within its limit. A guard
//! that does not hold fails the command: guards are ratios, counts and sizes, never times, so
//! that a slower machine fails none. A goal is an absolute time on a machine like the one that
//! README describes, or what this agent does not reach; it is only told.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::stats::Quartiles;

/// What has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// CPU that the agent adds to a connection, over what a connection costs by itself.
    AddedOverBare,
    /// The same over what empty probes on its hooks add.
    AddedOverFloor,
    /// The same over what tcplife adds.
    AddedOverTcplife,
    /// The same over what tcpstates adds.
    AddedOverTcpstates,
    /// The agent's own CPU for a connection, over what a connection costs by itself.
    OwnOverBare,
    /// Events that the agent lost, in all rounds.
    EventsLost,
    /// Events that it lost at the highest churn.
    LostAtHighest,
    /// The agent's own CPU for both ends of a connection at the highest churn, in microseconds.
    OwnAtHighest,
    /// CPU that the agent adds to a connection that it is to leave out, over what one costs by itself.
    FilteredOverBare,
    /// Instructions that a backend adds to a connection, over those of a bare one.
    InstructionsOverBare(Twin),
    /// The same over those that empty programs on its hooks add.
    InstructionsOverFloor(Twin),
    /// Anonymous resident memory of the agent once it is ready, MiB.
    StartRssAnon,
    /// The agent's own CPU for both ends of a connection, in microseconds.
    OwnPerConnection,
    /// What an event costs between the ring's bytes and the counts, in nanoseconds.
    PipelineEvent,
    /// Allocations of a round of events in the steady state.
    Allocations,
    /// A scrape at the bound of series, in milliseconds.
    Scrape,
    /// From its start until it is ready with the most sockets, in seconds.
    Ready,
    /// Bytes of all memory, the maps' in the kernel too, for an open end, with the most connections.
    OpenBytes,
    /// Bytes of memory for a closing end, with the most connections.
    ClosingBytes,
}

/// A backend that a guest allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    Fentry,
    Kprobe,
    Tracepoint,
}

impl Twin {
    /// By its name as an option.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Fentry, Self::Kprobe, Self::Tracepoint]
            .into_iter()
            .find(|it| it.over_bare().0.starts_with(name))
    }

    fn over_bare(self) -> (&'static str, &'static str) {
        match self {
            Self::Fentry => (
                "fentry_over_bare",
                "fentry: instructions added, over a bare connection's",
            ),
            Self::Kprobe => (
                "kprobe_over_bare",
                "kprobe: instructions added, over a bare connection's",
            ),
            Self::Tracepoint => (
                "tracepoint_over_bare",
                "tracepoint: instructions added, over a bare connection's",
            ),
        }
    }

    fn over_floor(self) -> (&'static str, &'static str) {
        match self {
            Self::Fentry => (
                "fentry_over_floor",
                "fentry: instructions added, over its floor's",
            ),
            Self::Kprobe => (
                "kprobe_over_floor",
                "kprobe: instructions added, over its floor's",
            ),
            Self::Tracepoint => (
                "tracepoint_over_floor",
                "tracepoint: instructions added, over its floor's",
            ),
        }
    }
}

impl Limit {
    /// Its key in the file, and what a row calls it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::AddedOverBare => (
                "added_over_bare",
                "added CPU, over that of a bare connection",
            ),
            Self::AddedOverFloor => ("added_over_floor", "added CPU, over the floor's"),
            Self::AddedOverTcplife => ("added_over_tcplife", "added CPU, over tcplife's"),
            Self::AddedOverTcpstates => ("added_over_tcpstates", "added CPU, over tcpstates'"),
            Self::OwnOverBare => ("own_over_bare", "own CPU, over that of a bare connection"),
            Self::EventsLost => ("events_lost", "events lost, in all rounds"),
            Self::LostAtHighest => ("lost_at_highest", "events lost at the highest churn"),
            Self::OwnAtHighest => (
                "own_us_at_highest",
                "own CPU for both ends at the highest churn, µs",
            ),
            Self::FilteredOverBare => (
                "filtered_over_bare",
                "added CPU where all is filtered out, over that of a bare connection",
            ),
            Self::InstructionsOverBare(twin) => twin.over_bare(),
            Self::InstructionsOverFloor(twin) => twin.over_floor(),
            Self::StartRssAnon => ("start_rss_anon_mib", "RssAnon once ready, MiB"),
            Self::OwnPerConnection => (
                "own_us_per_connection",
                "own CPU for both ends of a connection, µs",
            ),
            Self::PipelineEvent => ("pipeline_ns", "decode, track, classify, count, ns an event"),
            Self::Allocations => ("allocations", "allocations in the steady state"),
            Self::Scrape => ("scrape_ms", "a scrape at the bound of series, ms"),
            Self::Ready => ("ready_s", "ready with the most sockets, s"),
            Self::OpenBytes => (
                "open_bytes",
                "RssAnon and kernel maps for each open end, bytes",
            ),
            Self::ClosingBytes => ("closing_bytes", "what a closing end adds to RssAnon, bytes"),
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    guards: BTreeMap<String, f64>,
    goals: BTreeMap<String, f64>,
}

/// What came of holding a measurement against its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Within it.
    Holds,
    /// A guard does not hold.
    Fails,
    /// A goal is not reached.
    NotReached,
    /// Nothing was measured.
    NotMeasured,
}

/// One measurement beside its limit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    row: &'static str,
    measured: Option<Quartiles>,
    at_most: f64,
    pub(super) outcome: Outcome,
    /// What stands in the way of measuring.
    missing: Option<String>,
}

impl Limits {
    /// The file that this program was built with.
    pub(super) fn shipped() -> Result<Self> {
        serde_json::from_str(include_str!("limits.json")).context("limits.json")
    }

    /// Samples hold if even their upper quartile does.
    pub(super) fn check(&self, limit: Limit, samples: &[f64]) -> Result<Check> {
        let (key, row) = limit.words();
        let guard = self.guards.get(key);
        let at_most = *guard
            .or_else(|| self.goals.get(key))
            .with_context(|| format!("limits.json has no {key}"))?;
        let measured = Quartiles::of(samples);
        let outcome = match measured {
            None => Outcome::NotMeasured,
            Some(it) if it.upper <= at_most => Outcome::Holds,
            Some(_) if guard.is_some() => Outcome::Fails,
            Some(_) => Outcome::NotReached,
        };
        Ok(Check {
            row,
            measured,
            at_most,
            outcome,
            missing: None,
        })
    }
}

impl Check {
    /// Says why nothing was measured.
    pub(super) fn for_want_of(mut self, missing: Option<&str>) -> Self {
        self.missing = missing.map(str::to_owned);
        self
    }

    /// Its row in the table, as Markdown.
    pub(super) fn line(&self) -> String {
        let cell = |it: fn(&Quartiles) -> f64| {
            let value = self.measured.as_ref().map(it);
            let shown = |value: f64| {
                if value.is_finite() {
                    format!("{value:.3}")
                } else {
                    "∞".to_owned()
                }
            };
            value.map_or_else(|| "–".to_owned(), shown)
        };
        format!(
            "| {} | {} | {} | {} | {} |\n",
            self.row,
            cell(|it| it.median),
            cell(|it| it.upper),
            self.at_most,
            self.says()
        )
    }

    fn says(&self) -> String {
        match self.outcome {
            Outcome::Holds => "holds".to_owned(),
            Outcome::Fails => "**FAIL**".to_owned(),
            Outcome::NotReached => "goal not reached".to_owned(),
            Outcome::NotMeasured => {
                let why = self.missing.as_deref().unwrap_or("no sample");
                format!("not measured: {why}")
            }
        }
    }
}

/// As Markdown; empty for no rows.
pub(super) fn table(rows: &[&str]) -> String {
    let rows = rows.concat();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "## Limits\n\n| row | median | upper quartile | at most | |\n|---|--:|--:|--:|---|\n{rows}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Limit; 23] = [
        Limit::PipelineEvent,
        Limit::Allocations,
        Limit::AddedOverBare,
        Limit::AddedOverFloor,
        Limit::AddedOverTcplife,
        Limit::AddedOverTcpstates,
        Limit::OwnOverBare,
        Limit::EventsLost,
        Limit::LostAtHighest,
        Limit::OwnAtHighest,
        Limit::FilteredOverBare,
        Limit::InstructionsOverBare(Twin::Fentry),
        Limit::InstructionsOverBare(Twin::Kprobe),
        Limit::InstructionsOverBare(Twin::Tracepoint),
        Limit::InstructionsOverFloor(Twin::Fentry),
        Limit::InstructionsOverFloor(Twin::Kprobe),
        Limit::InstructionsOverFloor(Twin::Tracepoint),
        Limit::StartRssAnon,
        Limit::OwnPerConnection,
        Limit::Scrape,
        Limit::Ready,
        Limit::OpenBytes,
        Limit::ClosingBytes,
    ];

    fn limits() -> Limits {
        let text = r#"{"guards":{"added_over_floor":1.6},"goals":{"scrape_ms":5}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_file_has_each_limit_once_and_no_other() {
        let limits = Limits::shipped().unwrap();
        let guards = limits.guards.keys();
        let keys: Vec<&str> = guards
            .chain(limits.goals.keys())
            .map(String::as_str)
            .collect();
        let wanted: BTreeSet<&str> = ALL.iter().map(|it| it.words().0).collect();
        assert_eq!(keys.len(), ALL.len());
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), wanted);
    }

    #[test]
    fn no_guard_is_a_time() {
        let limits = Limits::shipped().unwrap();
        let times = ["ns", "us", "ms", "s", "seconds"];
        let guards = limits.guards.keys();
        let mut timed = guards.filter(|key| key.split('_').any(|word| times.contains(&word)));
        assert_eq!(timed.next(), None);
    }

    #[test]
    fn a_guard_fails_by_its_upper_quartile_and_a_goal_is_only_told() {
        let outcome = |limit, samples: &[f64]| limits().check(limit, samples).unwrap().outcome;
        let floor = |samples: &[f64]| outcome(Limit::AddedOverFloor, samples);
        assert_eq!(floor(&[1.5, 1.6, 1.6]), Outcome::Holds);
        assert_eq!(floor(&[1.0, 1.0, 2.5, 2.5]), Outcome::Fails);
        assert_eq!(floor(&[f64::INFINITY]), Outcome::Fails);
        assert_eq!(floor(&[]), Outcome::NotMeasured);
        assert_eq!(outcome(Limit::Scrape, &[5.1]), Outcome::NotReached);
        assert_eq!(outcome(Limit::Scrape, &[5.0]), Outcome::Holds);
        limits().check(Limit::Ready, &[1.0]).unwrap_err();
    }

    #[test]
    fn a_backend_is_known_by_its_name() {
        assert_eq!(Twin::named("kprobe"), Some(Twin::Kprobe));
        assert_eq!(Twin::named("tracepoint"), Some(Twin::Tracepoint));
        assert_eq!(Twin::named("uprobe"), None);
    }

    #[test]
    fn the_table_says_what_fails_and_what_was_not_measured() {
        let failed = limits().check(Limit::AddedOverFloor, &[2.0]).unwrap();
        let absent = limits().check(Limit::AddedOverFloor, &[]).unwrap();
        let absent = absent.for_want_of(Some("no bpftool"));
        let text = table(&[&failed.line(), &absent.line()]);
        let lines: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            lines,
            [
                "| added CPU, over the floor's | 2.000 | 2.000 | 1.6 | **FAIL** |",
                "| added CPU, over the floor's | – | – | 1.6 | not measured: no bpftool |",
            ]
        );
    }
}
