//! The dashboards, recording rules and alerts, checked.
//! Takes `dashboards/` and the README's table of metrics, gives a line for each check and
//! every breach by file, panel and rule; changes nothing unless told to format.

mod coverage;
mod expressions;
mod foreign;
mod house;
mod labels;
mod lint;
mod metrics;
mod model;
mod promql;
mod promtool;
mod rules;
mod screenshots;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::place;
use crate::setup::{self, Part};
use expressions::Looked;
use metrics::Metrics;
use model::File;

const RULES: &str = "rules.yaml";
const ALERTS: &str = "alerts.yaml";
const TESTS: &str = "alerts_test.yaml";

/// What to do instead of checking.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Writes each dashboard in its canonical form
    Format,
    /// Draws each dashboard with Grafana's own components and the data of a Prometheus, into
    /// dashboards/screenshots
    Screenshots(screenshots::Args),
}

/// One check with what came of it.
#[derive(Debug)]
pub(crate) struct Checked {
    name: &'static str,
    /// What was looked at, with counts.
    of: String,
    faults: Vec<String>,
}

/// `cargo xtask dashboards`.
pub(crate) fn main(action: Option<Action>) -> Result<()> {
    match action {
        Some(Action::Format) => return format(),
        Some(Action::Screenshots(args)) => return screenshots::main(&args),
        None => {}
    }
    setup::ensure(&[Part::Prometheus])?;
    let all = all()?;
    let faults: usize = all.iter().map(|it| it.faults.len()).sum();
    for checked in &all {
        checked.show();
    }
    if faults > 0 {
        bail!("the dashboards break {faults} rules");
    }
    Ok(())
}

/// Every check there is; needs promtool.
pub(crate) fn all() -> Result<Vec<Checked>> {
    let mut all = of_files(place::repository())?;
    all.push(Checked {
        name: "promtool check rules",
        of: format!("{RULES} and {ALERTS}"),
        faults: promtool::check_rules(&folder()),
    });
    all.push(Checked {
        name: "promtool test rules",
        of: TESTS.to_owned(),
        faults: promtool::test_rules(&folder()),
    });
    Ok(all)
}

/// What needs no other program.
fn of_files(repository: &Path) -> Result<Vec<Checked>> {
    let folder = repository.join("dashboards");
    let files = model::load(&folder)?;
    let readme = fs::read_to_string(repository.join("README.md")).context("README.md")?;
    let mut metrics = Metrics::of_readme(&readme)?;
    let mut looked = Looked::default();
    for name in [RULES, ALERTS] {
        match rules::load(&folder.join(name)) {
            Ok(rules) => looked.at_rules(name, &rules, &mut metrics),
            Err(error) => looked.faults.push(format!("{error:#}")),
        }
    }
    for file in &files {
        looked.at_dashboard(file, &metrics);
    }
    let exported = metrics.exported();
    Ok(vec![
        linted(&files),
        kept(&files),
        Checked {
            name: "metrics on display",
            of: format!(
                "{} metrics, {} of them left out for a reason",
                exported.len(),
                coverage::left_out()
            ),
            faults: coverage::faults(&exported, &looked.used),
        },
        Checked {
            name: "expressions",
            of: format!("{} in dashboards, rules and alerts", looked.count),
            faults: looked.faults,
        },
    ])
}

fn linted(files: &[File]) -> Checked {
    let panels = files.iter().flat_map(|file| file.dashboard.panels());
    let panels = panels.filter(|panel| panel.draws()).count();
    Checked {
        name: "Grafana's linter",
        of: format!(
            "{} rules on {} dashboards with {panels} panels",
            lint::RULES.len(),
            files.len()
        ),
        faults: faults_by_file(files, |file| lint::breaches(&file.dashboard)),
    }
}

fn kept(files: &[File]) -> Checked {
    Checked {
        name: "conventions",
        of: format!("{} dashboards", files.len()),
        faults: faults_by_file(files, house::breaches),
    }
}

fn faults_by_file(files: &[File], check: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    files
        .iter()
        .flat_map(|file| {
            let found = check(file).into_iter();
            found.map(|breach| format!("{}: {breach}", file.name))
        })
        .collect()
}

fn format() -> Result<()> {
    for file in model::load(&folder())? {
        let text = model::canonical(&file.text)?;
        if text != file.text {
            let path = folder().join(&file.name);
            fs::write(&path, text)
                .with_context(|| format!("could not write {}", path.display()))?;
            println!("{} is in its canonical form now", file.name);
        }
    }
    Ok(())
}

fn folder() -> PathBuf {
    place::repository().join("dashboards")
}

impl Checked {
    /// Whether nothing is wrong.
    pub(crate) const fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// One line, and one for each fault.
    pub(crate) fn show(&self) {
        let Self { name, of, faults } = self;
        if faults.is_empty() {
            println!("dashboards: {name:<20} ok, {of}");
            return;
        }
        println!("dashboards: {name:<20} {} faults, {of}", faults.len());
        for fault in faults {
            println!("  {fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboards_of_this_repository_break_no_rule() {
        for checked in of_files(place::repository()).unwrap() {
            assert_eq!(checked.faults, [""; 0], "{}", checked.name);
        }
    }

    #[test]
    fn the_readme_names_every_dashboard() {
        let readme = fs::read_to_string(place::repository().join("README.md")).unwrap();
        for file in model::load(&folder()).unwrap() {
            let path = format!("dashboards/{}", file.name);
            assert!(readme.contains(&path), "the README does not name {path}");
        }
    }
}
