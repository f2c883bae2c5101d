//! Which backends this kernel allows, by the agent's own word.
//!
//! Takes the agent's path; gives names and the kernel's reasons. Attaches nothing that stays.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use xtask::scenario::forking::output;

use crate::cases::trial;
use crate::results::{Outcome, Results};
use crate::session::Session;

/// Every backend of the agent, best first.
pub(crate) const BACKENDS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// The backends that a list names.
pub(crate) fn asked_for(list: &str) -> Result<Vec<&'static str>> {
    list.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let found = BACKENDS.into_iter().find(|backend| *backend == word);
            found.with_context(|| format!("there is no backend {word}; there are {BACKENDS:?}"))
        })
        .collect()
}

/// The backends whose own twin answers the first question here.
pub(crate) fn usable(agent: &Path) -> Vec<&'static str> {
    let is_usable = |backend: &str| matches!(refusal(agent, backend), Ok(None));
    let (usable, not): (Vec<_>, Vec<_>) = BACKENDS.into_iter().partition(|it| is_usable(it));
    if !not.is_empty() {
        println!("kernel tests: this kernel does not allow the backends {not:?}: not tested");
    }
    usable
}

/// The best backend that the kernel allows.
pub(crate) fn best(agent: &Path) -> Result<Option<&'static str>> {
    for backend in BACKENDS {
        if refusal(agent, backend)?.is_none() {
            return Ok(Some(backend));
        }
    }
    Ok(None)
}

/// Why the kernel refuses a backend, if it does.
pub(crate) fn refusal(agent: &Path, backend: &str) -> Result<Option<String>> {
    let (twin, failures) = first_answer(agent, backend)?;
    if twin.as_deref() == Some(backend) {
        return Ok(None);
    }
    let why = failures.first().cloned();
    Ok(Some(why.unwrap_or_else(|| {
        "it answers no question; `tcp-observer check` says why".to_owned()
    })))
}

/// The backend `auto` takes the best that the kernel allows, and whoever wishes for one that it
/// refuses is told so.
pub(crate) fn auto(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let name = "auto_takes_the_best".to_owned();
    vec![trial(session, results, name, move || check_auto(session))]
}

fn check_auto(session: &'static Session) -> Result<Outcome, Failed> {
    let agent = session.agent.as_ref()?;
    let best = best(agent)?;
    for backend in BACKENDS.into_iter().take_while(|it| Some(*it) != best) {
        let said = String::from_utf8(check(agent, &["--backend", backend])?)?;
        if !said.contains(&format!("--backend {backend}: this kernel refuses it")) {
            return Err(format!("`check --backend {backend}` hides the refusal:\n{said}").into());
        }
    }
    let (twin, failures) = first_answer(agent, "auto")?;
    if best.is_some() && twin.as_deref() == best {
        return Ok(Outcome::Passed);
    }
    Err(format!("it took {twin:?} where {best:?} works; failures: {failures:?}").into())
}

/// Which twin answers the first question, and what failed before it.
fn first_answer(agent: &Path, backend: &str) -> Result<(Option<String>, Vec<String>)> {
    let said = check(agent, &["--json", "--backend", backend])?;
    let report: Value = serde_json::from_slice(&said).context("`check --json` printed no JSON")?;
    let first = report.pointer("/questions/0");
    let field = |key: &str| first.and_then(|question| question.get(key));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let failures = field("failures").and_then(Value::as_array);
    let mut failures: Vec<String> = failures.into_iter().flatten().filter_map(text).collect();
    failures.extend(report.get("error").and_then(text));
    Ok((field("twin").and_then(text), failures))
}

/// What `tcp-observer check` prints.
fn check(agent: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(agent);
    Ok(output(command.arg("check").args(arguments))?.stdout)
}
