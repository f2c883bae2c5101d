//! `tcp-observer check`: what this kernel and these privileges allow.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::{Check, Log};
use crate::probe;
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
}

/// Attaches the probes for a moment and says what came of it.
pub(super) fn check(arguments: &Check, log: &Log) -> ExitCode {
    // The ring's reader registers with the runtime that it is made in.
    let attached = super::runtime().map(|runtime| {
        let _inside = runtime.enter();
        probe::attach(arguments.probes.options(log))
    });
    let coverage = match attached {
        Ok(Ok(probes)) => Ok(probes.coverage),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("{error:#}")),
    };
    let state = coverage.as_ref().map_or("cannot_run", status::state);
    let text = if arguments.json {
        let report = Report {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            state,
            error: coverage.as_ref().err().cloned(),
            questions: coverage.as_ref().map(status::questions).unwrap_or_default(),
        };
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        match &coverage {
            Ok(coverage) => format!("{}{}\n", status::table(coverage), conclusion(state)),
            Err(error) => {
                super::say(&format!("tcp-observer: cannot run here: {error}"));
                String::new()
            }
        }
    };
    drop(std::io::stdout().write_all(text.as_bytes()));
    match state {
        "full" => ExitCode::SUCCESS,
        "degraded" => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

fn conclusion(state: &str) -> String {
    match state {
        "full" => "full: every question is answered directly".to_owned(),
        _ => "degraded: the agent runs, and infers or misses what is said above".to_owned(),
    }
}
