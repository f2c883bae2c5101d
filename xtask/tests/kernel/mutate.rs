//! The mutation check: without the probes of a kind, some case must be told otherwise.
//!
//! Takes the backends of the session and filters for scenarios; gives one case for each kind
//! and backend, and one for the whole agent beside them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use xtask::judge::{Skip, allowed, first_mismatch, loss};
use xtask::scenario::{self, SLOW, Scenario};

use crate::cases::{hindrance, trial};
use crate::explained::explained;
use crate::herd::{Findings, Herd, shared};
use crate::results::{Outcome, Results};
use crate::session::Session;

/// Set where the mutation check is wanted instead of the cases.
pub(crate) const WANTED: &str = "KERNEL_TEST_MUTATE";

/// What all else rests on: the agent refuses to run without it.
const REFUSED: &str = "state_changed";

/// The programs that attach here, by kind of record.
type Programs = BTreeMap<String, Vec<String>>;

/// Runs it. Says whether a case failed.
pub(crate) fn run(
    arguments: &Arguments,
    session: &'static Session,
    results: &'static Results,
) -> Result<bool> {
    let scenarios: Vec<&'static Scenario> = scenario::all()
        .filter(|scenario| {
            is_wanted(arguments, scenario) && hindrance(session, scenario, scenario.name).is_none()
        })
        .collect();
    // The filter is for scenarios; every kind has its case.
    let arguments = Arguments {
        filter: None,
        test_threads: Some(1),
        ..arguments.clone()
    };
    let mut trials = Vec::new();
    for backend in session.backends.iter().copied() {
        trials.extend(of_backend(session, results, backend, &scenarios)?);
    }
    Ok(libtest_mimic::run(&arguments, trials).has_failed())
}

/// `TIME_WAIT` is over long after the verdict, which is what is compared here.
fn is_wanted(arguments: &Arguments, scenario: &Scenario) -> bool {
    let filter = arguments.filter.as_deref().unwrap_or_default();
    scenario.name != SLOW && scenario.name.contains(filter)
}

fn of_backend(
    session: &'static Session,
    results: &'static Results,
    backend: &'static str,
    scenarios: &[&'static Scenario],
) -> Result<Vec<Trial>> {
    let path = match &session.agent {
        Ok(path) => path.as_path(),
        Err(why) => bail!("{why}"),
    };
    let programs = programs(path, backend)?;
    let kinds: Vec<String> = programs
        .iter()
        .filter(|(kind, programs)| *kind != REFUSED && !programs.is_empty())
        .map(|(kind, _)| kind.clone())
        .collect();
    let findings: Arc<OnceLock<Result<Findings>>> = Arc::default();
    let scenarios = scenarios.to_vec();
    let examine = move || Herd::start(path, backend, &kinds)?.examine(&scenarios);
    let mut trials = Vec::new();
    let shared_by = Arc::clone(&findings);
    let name = format!("mutate::nothing::{backend}");
    trials.push(trial(session, results, name, move || {
        whole(shared(shared_by.get_or_init(examine))?)
    }));
    for (kind, programs) in programs {
        let findings = Arc::clone(&findings);
        let name = format!("mutate::{kind}::{backend}");
        trials.push(trial(session, results, name, move || {
            if programs.is_empty() {
                let why = "no program of this kind attaches here".to_owned();
                return Ok(Outcome::Skipped(Skip::NotApplicable(why)));
            }
            let told = if kind == REFUSED {
                refused(path)?
            } else {
                let findings = findings.get().context("the agents were not started")?;
                lost(&kind, backend, shared(findings)?)
            };
            with_programs(told, &programs)
        }));
    }
    Ok(trials)
}

/// Which programs attach here, as `check` says.
fn programs(path: &Path, backend: &str) -> Result<Programs> {
    let output = Command::new(path)
        .args(["check", "--json", "--backend", backend])
        .output()
        .with_context(|| format!("cannot start {}", path.display()))?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("check says: {}", String::from_utf8_lossy(&output.stderr)))?;
    let questions = report.get("questions").and_then(Value::as_array);
    let mut programs = Programs::new();
    for question in questions.context("check tells no questions")? {
        let kinds = question.get("kinds").context("check tells no kinds")?;
        programs.extend(serde_json::from_value::<Programs>(kinds.clone())?);
    }
    Ok(programs)
}

/// The whole agent beside the others: it must be right, or the comparison says nothing.
fn whole(findings: &Findings) -> Result<Outcome, Failed> {
    let line = |word: &str, (case, why): &(&str, String)| {
        format!("{word}, {case}: {}", first_mismatch(why))
    };
    let (doubtful, wrong) = (&findings.doubtful, &findings.wrong);
    let mut lines: Vec<String> = wrong.iter().map(|it| line("exact and wrong", it)).collect();
    lines.extend(doubtful.iter().map(|it| line("left out", it)));
    let count = doubtful.len();
    let told = format!(
        "{} cases compared, {count} left out, about which the whole agent is not right\n{}",
        findings.right,
        lines.join("\n")
    );
    // Many agents keep the machine busier than one does, which makes doubts and no mistakes.
    if !wrong.is_empty() || count > 2 * allowed(findings.right + count) {
        return Err(told.into());
    }
    Ok(Outcome::Told(told))
}

/// Which programs the mutation takes away. All that are shown the same events go together: one of
/// them alone tells only what the kernel skips, which no scenario can order.
fn with_programs(told: Told, programs: &[String]) -> Result<Outcome, Failed> {
    let named = format!("programs: {}", programs.join(", "));
    match told {
        Ok(told) => Ok(Outcome::Told(format!("{told}\n{named}"))),
        Err(fault) => Err(format!("{fault}\n{named}").into()),
    }
}

/// What a mutation showed, or that it did not show what it must.
type Told = Result<String, String>;

fn lost(kind: &str, backend: &str, findings: &Findings) -> Told {
    let changes = findings.changes.get(kind).map_or(&[][..], Vec::as_slice);
    let mut text = loss(changes, explained(kind, backend, &findings.happened))?;
    for change in changes {
        let exact = if change.exact {
            "exact though blind"
        } else {
            "change"
        };
        text.extend(["\n", exact, ": ", &change.to_string()]);
    }
    Ok(text)
}

/// The agent does not run without what all else rests on.
fn refused(path: &Path) -> Result<Told> {
    let output = Command::new(path)
        .args(["check", "--without", REFUSED])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(2) || !said.contains("no connection is seen") {
        return Ok(Err(format!("it is not refused: {} {said}", output.status)));
    }
    let why = "refused: without it no connection is seen, so every case would change";
    Ok(Ok(why.to_owned()))
}
