//! What the agent says of itself: at `/status`, when it starts, and in `check`.
//!
//! Takes the coverage and the counts as they stand; gives serializable values and text.
//! Never probes anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::books::Books;
use super::prometheus::Standing;
use crate::probe::{Answer, Coverage};
use crate::settings::LIMITS;

/// The object at `/status`.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    /// Raised when a key changes its meaning or goes away.
    pub schema: u32,
    /// Of the agent.
    pub version: &'static str,
    /// `starting`, `full` or `degraded`.
    pub state: &'static str,
    /// Since the agent started.
    pub uptime_seconds: f64,
    /// One a question; empty until the probes are attached.
    pub questions: Vec<Question<'a>>,
    /// All that is inferred or not seen.
    pub blind_to: Vec<&'static str>,
    /// Which connections are observed, as options; empty: all of them.
    pub filters: &'a [String],
    /// What is left out for now to keep to `--cpu-budget`: `timelines`, `births`, `events`.
    pub shed: Vec<&'static str>,
    /// What was lost since the agent started.
    pub losses: Losses,
    /// What the agent follows.
    pub tracker: Tracked,
    /// Connection ends that ended since the agent started.
    pub connections_ended: u64,
    /// Whether what was observed adds up to what the kernel counted.
    pub audit: Books<'a>,
}

/// How one question is answered.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields are the JSON keys")]
pub struct Question<'a> {
    question: &'static str,
    asks: &'static str,
    twin: Option<&'static str>,
    programs: &'a [&'static str],
    /// The same for each kind of record that it takes.
    kinds: &'a BTreeMap<&'static str, Vec<&'static str>>,
    left_out: &'a [&'static str],
    failures: &'a [String],
    blind_to: Option<&'static str>,
}

/// What was lost.
#[derive(Debug, Serialize)]
pub struct Losses {
    events: BTreeMap<&'static str, u64>,
    decode_errors: u64,
    evictions: u64,
    lines: u64,
}

/// What the agent follows.
#[derive(Debug, Serialize)]
pub struct Tracked {
    /// Connection ends that are merely open.
    open: u64,
    /// The most of them.
    limit_open: usize,
    /// Those that close, or of which more is known.
    closing: u64,
    /// The most of them.
    limit_closing: usize,
}

impl<'a> Status<'a> {
    /// The agent's state, with nothing known of the probes yet if `coverage` is `None`.
    pub fn new(
        coverage: Option<&'a Coverage>,
        standing: &Standing,
        uptime_seconds: f64,
        audit: Books<'a>,
    ) -> Self {
        Self {
            schema: super::json::SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            state: coverage.map_or("starting", state),
            uptime_seconds,
            questions: coverage.map(questions).unwrap_or_default(),
            blind_to: coverage.map(blind_to).unwrap_or_default(),
            filters: coverage.map(|it| &*it.filters).unwrap_or_default(),
            shed: standing.shed.clone(),
            losses: Losses {
                events: standing
                    .lost
                    .iter()
                    .map(|(kind, lost)| (kind.label(), *lost))
                    .collect(),
                decode_errors: standing.decode_errors,
                evictions: standing.evictions,
                lines: standing.lines_lost,
            },
            tracker: Tracked {
                open: standing.open,
                limit_open: LIMITS.connections,
                closing: standing.closing,
                limit_closing: LIMITS.records,
            },
            connections_ended: standing.ended,
            audit,
        }
    }
}

/// `full` if nothing is inferred or unseen, else `degraded`.
pub fn state(coverage: &Coverage) -> &'static str {
    if blind_to(coverage).is_empty() {
        "full"
    } else {
        "degraded"
    }
}

/// One a question, in the manifest's order.
pub fn questions(coverage: &Coverage) -> Vec<Question<'_>> {
    coverage.answers.iter().map(question).collect()
}

fn question(answer: &Answer) -> Question<'_> {
    Question {
        question: answer.question,
        asks: answer.asks,
        twin: answer.twin,
        programs: &answer.programs,
        kinds: &answer.kinds,
        left_out: &answer.left_out,
        failures: &answer.failures,
        blind_to: answer.blind_to,
    }
}

/// All that is inferred or not seen.
pub fn blind_to(coverage: &Coverage) -> Vec<&'static str> {
    coverage
        .answers
        .iter()
        .filter_map(|answer| answer.blind_to)
        .collect()
}

/// Which twin answers what, in one line.
pub fn summary(coverage: &Coverage) -> String {
    let mut parts = Vec::new();
    let twins = super::names::TWINS
        .map(|twin| Some(twin.label()))
        .into_iter()
        .chain([None]);
    for twin in twins {
        let answered: Vec<_> = coverage
            .answers
            .iter()
            .filter(|answer| answer.twin == twin)
            .map(|answer| answer.question)
            .collect();
        if !answered.is_empty() {
            parts.push(format!(
                "{}: {}",
                twin.unwrap_or("not seen directly"),
                answered.join(", ")
            ));
        }
    }
    parts.join("; ")
}

/// The table of `check`.
pub fn table(coverage: &Coverage) -> String {
    let mut text = String::new();
    for answer in &coverage.answers {
        let mut line = |text_of: &str| {
            let _written = writeln!(text, "{text_of}");
        };
        line(&format!(
            "{:<11} {:<20} {}",
            answer.twin.unwrap_or("-"),
            answer.question,
            answer.asks
        ));
        for failure in &answer.failures {
            line(&format!("{:32} tried: {failure}", ""));
        }
        for kind in &answer.left_out {
            line(&format!("{:32} left out on request: {kind}", ""));
        }
        if let Some(blind_to) = answer.blind_to {
            line(&format!("{:32} so: {blind_to}", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::sink::prometheus::{Bounds, Metrics};
    use crate::sink::sample;

    #[test]
    fn the_status_reads_as_recorded() {
        let coverage = sample::coverage();
        let standing = Metrics::new(Bounds::default()).unwrap().standing();
        let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
        let accounts = [sample::account()];
        let books = Books::new(Duration::from_secs(30), &accounts, &clock);
        let status = Status::new(Some(&coverage), &standing, 1.5, books);
        expect_file!["../../testdata/status.json"]
            .assert_eq(&serde_json::to_string_pretty(&status).unwrap());
    }

    #[test]
    fn the_summary_and_the_table_read_as_recorded() {
        let coverage = sample::coverage();
        expect_file!["../../testdata/check.txt"].assert_eq(&format!(
            "{}\n\n{}",
            summary(&coverage),
            table(&coverage)
        ));
    }

    #[test]
    fn an_agent_that_sees_all_is_full() {
        let mut coverage = sample::coverage();
        assert_eq!(state(&coverage), "degraded");
        coverage.answers.retain(|answer| answer.blind_to.is_none());
        assert_eq!(state(&coverage), "full");
    }
}
