//! `tcp-observer check`: what this kernel and these privileges allow.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::{Check, Log};
use crate::probe::{self, Survey};
use crate::sink::json::SCHEMA;
use crate::sink::status::{self, Question};

/// The object of `check --json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    version: &'static str,
    /// `full`, `degraded` or `cannot_run`.
    state: &'static str,
    /// Why the agent cannot run, and what to do.
    error: Option<String>,
    questions: Vec<Question<'a>>,
    /// What to do about what is missing.
    advice: &'a [String],
}

/// Tries the probes and says what came of it.
pub(super) fn check(arguments: &Check, log: &Log) -> ExitCode {
    let survey = probe::survey(&arguments.probes.options(log));
    let state = survey.coverage.as_ref().map_or("cannot_run", status::state);
    let text = if arguments.json {
        json(&survey, state)
    } else {
        text(&survey, state)
    };
    // Where nobody reads the answer, the exit code still gives it.
    drop(std::io::stdout().write_all(text.as_bytes()));
    match state {
        "full" => ExitCode::SUCCESS,
        "degraded" => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

fn json(survey: &Survey, state: &'static str) -> String {
    let coverage = survey.coverage.as_ref();
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        state,
        error: coverage.err().map(ToString::to_string),
        questions: coverage.map(status::questions).unwrap_or_default(),
        advice: &survey.advice,
    };
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

fn text(survey: &Survey, state: &str) -> String {
    let coverage = match &survey.coverage {
        Ok(coverage) => coverage,
        Err(error) => {
            super::say(&format!("tcp-observer: cannot run here: {error}"));
            return String::new();
        }
    };
    let mut text = status::table(coverage);
    if let Some(line) = &survey.not_granted {
        text.extend([line, "\n"]);
    }
    for advice in &survey.advice {
        text.extend(["to see more: ", advice, "\n"]);
    }
    text + conclusion(state)
}

fn conclusion(state: &str) -> &'static str {
    match state {
        "full" => "full: every question is answered directly\n",
        _ => "degraded: the agent runs, and infers or misses what is said above\n",
    }
}
