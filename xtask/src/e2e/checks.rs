//! What must be so while everything runs.
//!
//! Takes the Prometheus that scrapes; gives what was found in a sentence, or names all that is
//! wrong.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::Report;
use super::answers::{Kind, Rule};
use super::expected::{MAY_BE_EMPTY, NEED};
use super::panels::{self, Dashboard, Query};
use super::prometheus::Prometheus;
use super::workload::Made;
use crate::demo::metrics as page;
use crate::scenario::clock::wait_for;
use crate::scenario::forking::spawn;
use crate::watching::Watching;

/// Each ending that was made is counted.
pub(super) fn endings(prometheus: &Prometheus, made: &Made) -> Result<String> {
    /// A verdict is final after some seconds.
    const LIMIT: Duration = Duration::from_secs(20);
    let hidden = hidden(prometheus)?;
    let mut missing: Vec<&str> = Vec::new();
    let mut unseen: Vec<&str> = Vec::new();
    let counted = wait_for("endings to be counted", LIMIT, || {
        let expr = "sum by (ending) (tcp_observer_connections_ended_total) > 0";
        let samples = prometheus.query(expr)?;
        let counted = samples.labels("ending");
        let uncounted = made.endings.iter().filter(|it| !counted.contains(it));
        (unseen, missing) = uncounted.partition(|it| hidden.contains(it));
        Ok(missing.is_empty().then_some(counted.len()))
    });
    let counted = counted.with_context(|| format!("never counted: {missing:?}"))?;
    let left_out = made.left_out.iter();
    let left_out: Vec<String> = left_out
        .map(|(ending, why)| format!("{ending}, {why}"))
        .collect();
    let unseen = match unseen.as_slice() {
        [] => String::new(),
        some => format!("; this kernel does not show {some:?}"),
    };
    Ok(format!(
        "{} made, {counted} counted{unseen}; not made here: {}",
        made.endings.len(),
        left_out.join("; ")
    ))
}

/// Endings that may be told as another, because nothing answers the question that they need.
fn hidden(prometheus: &Prometheus) -> Result<Vec<&'static str>> {
    let blind = prometheus.query("instance_question:tcp_observer_probe_attached:sum == 0")?;
    let blind = blind.labels("question");
    let hidden = NEED.iter().filter(|(_, question)| blind.contains(question));
    Ok(hidden.map(|(ending, _)| *ending).collect())
}

/// Every rule is evaluated, and every recording rule has given something.
pub(super) fn rules(prometheus: &Prometheus) -> Result<String> {
    let rules = prometheus.rules()?;
    let recorded: BTreeSet<String> = rules
        .iter()
        .filter(|rule| rule.kind == Kind::Recording)
        .map(Rule::selector)
        .collect();
    for series in &recorded {
        ensure!(
            prometheus.query(series)?.shows_something(),
            "{series} records nothing"
        );
    }
    let (all, recording) = (rules.len(), recorded.len());
    Ok(format!(
        "{all} rules are evaluated without an error, each of {recording} that record has data"
    ))
}

/// `promtool check metrics` has nothing to say; it exits with 0 on what it only warns of.
pub(super) fn metrics(agent: &Watching, folder: &Path) -> Result<String> {
    let (path, text) = (folder.join("metrics"), page(agent.address)?);
    fs::write(&path, &text)?;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(File::open(&path)?);
    let child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(
        output.status.success() && said.is_empty(),
        "promtool check metrics ended with {} and says: {}",
        output.status,
        said.trim()
    );
    Ok(format!(
        "promtool check metrics is silent on {} lines",
        text.lines().count()
    ))
}

/// Each query of each dashboard has data.
pub(super) fn dashboards(
    prometheus: &Prometheus,
    folder: &Path,
    report: &mut Report,
) -> Result<()> {
    let files = files(folder)?;
    let counted = format!("{} dashboards in {}", files.len(), folder.display());
    let some = if files.is_empty() {
        Err(anyhow!("no dashboard in {}", folder.display()))
    } else {
        Ok(counted)
    };
    report.line("dashboards", some)?;
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        report.line(&name, one(prometheus, &file))?;
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn one(prometheus: &Prometheus, file: &Path) -> Result<String> {
    let dashboard = panels::read(&fs::read_to_string(file)?)?;
    let values = |label: &str, selector: Option<&str>| prometheus.label_values(label, selector);
    let queries = dashboard.queries(values)?;
    ensure!(!queries.is_empty(), "no panel asks anything");
    let (mut wrong, mut empty) = (unknown(&dashboard), 0);
    for Query {
        panel,
        expr,
        instant,
    } in &queries
    {
        let answer = if *instant {
            prometheus.query(expr)
        } else {
            prometheus.query_range(expr)
        };
        let allowed = MAY_BE_EMPTY
            .iter()
            .any(|(uid, title, _)| *uid == dashboard.uid && title == panel);
        match answer {
            Ok(samples) if samples.shows_something() => {}
            Ok(_) if allowed => empty += 1,
            Ok(_) => wrong.push(format!("“{panel}” is empty: {expr}")),
            Err(error) => wrong.push(format!("“{panel}”: {error:#}: {expr}")),
        }
    }
    if !wrong.is_empty() {
        bail!(
            "{} of {} queries:\n  {}",
            wrong.len(),
            queries.len(),
            wrong.join("\n  ")
        );
    }
    let full = queries.len() - empty;
    Ok(format!(
        "{full} of {} queries have data, {empty} may be empty",
        queries.len()
    ))
}

/// Panels that may be empty and that are not there.
fn unknown(dashboard: &Dashboard) -> Vec<String> {
    let titles = dashboard.titles();
    MAY_BE_EMPTY
        .iter()
        .filter(|(uid, title, _)| *uid == dashboard.uid && !titles.contains(title))
        .map(|(_, title, _)| format!("there is no panel “{title}” that may be empty"))
        .collect()
}
