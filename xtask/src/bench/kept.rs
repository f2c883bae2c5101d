//! What earlier runs found, part by part.
//!
//! Takes the sections that a run has measured and the folder; gives all there are, in the order of
//! the parts: what was measured again takes the place of what it had found. Leaves them in the folder
//! as Markdown and as JSON. Never puts figures of another agent or machine beside them.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::{self, Check, Outcome};
use super::{Part, Section};

const TABLES: &str = "bench.md";
const FOUND: &str = "bench.json";

/// All that was found of one agent on one machine.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Found {
    machine: String,
    /// A hash of the program.
    agent: String,
    sections: BTreeMap<String, Kept>,
}

/// What one part found.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Kept {
    /// As Markdown, with its heading.
    table: String,
    /// Its rows in the table of limits.
    limits: String,
    /// How many guards do not hold.
    failed: usize,
    checks: Value,
    data: Value,
}

impl Found {
    /// What the folder has of this agent and machine; nothing, if a run is to measure all.
    pub(super) fn before(folder: &Path, machine: &str, agent: &Path, all: bool) -> Result<Self> {
        let program =
            fs::read(agent).with_context(|| format!("cannot read {}", agent.display()))?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&program);
        let agent = format!("{:016x}", hasher.finish());
        let text = fs::read_to_string(folder.join(FOUND)).unwrap_or_default();
        let earlier: Option<Self> = serde_json::from_str(&text).ok();
        let fits = |it: &Self| !all && it.machine == machine && it.agent == agent;
        Ok(earlier.filter(fits).unwrap_or_else(|| Self {
            machine: machine.to_owned(),
            agent,
            sections: BTreeMap::new(),
        }))
    }

    /// Takes what a part has found now.
    pub(super) fn take(&mut self, section: Section) -> Result<()> {
        let checks = &section.checks;
        let failed = checks.iter().filter(|it| it.outcome == Outcome::Fails);
        let kept = Kept {
            limits: checks.iter().map(Check::line).collect(),
            failed: failed.count(),
            checks: serde_json::to_value(checks)?,
            table: section.table,
            data: section.data,
        };
        self.sections.insert(section.name.to_owned(), kept);
        Ok(())
    }

    /// How many guards do not hold.
    pub(super) fn failed(&self) -> usize {
        self.sections.values().map(|it| it.failed).sum()
    }

    /// The table of limits.
    pub(super) fn limits(&self) -> String {
        let rows: Vec<&str> = self.in_order().map(|it| it.limits.as_str()).collect();
        limits::table(&rows)
    }

    /// Writes it, and gives its tables.
    pub(super) fn leave(&self, folder: &Path) -> Result<String> {
        let described = format!("## The machine\n\n{}.\n", self.machine);
        let mut tables: Vec<&str> = self.in_order().map(|it| it.table.as_str()).collect();
        let judged = self.limits();
        tables.extend([judged.as_str(), &described]);
        let text = tables.join("\n");
        fs::create_dir_all(folder)?;
        let whole = serde_json::to_string_pretty(self)? + "\n";
        for (name, text) in [(TABLES, &text), (FOUND, &whole)] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(text)
    }

    fn in_order(&self) -> impl Iterator<Item = &Kept> {
        let parts = Part::value_variants().iter();
        let names = parts.filter_map(clap::ValueEnum::to_possible_value);
        names.filter_map(|name| self.sections.get(name.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn section(name: &'static str, table: &str) -> Section {
        Section {
            name,
            table: table.to_owned(),
            data: json!(null),
            checks: Vec::new(),
        }
    }

    #[test]
    fn what_is_measured_again_takes_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent");
        fs::write(&agent, "one").unwrap();
        let before = |machine, all| Found::before(folder.path(), machine, &agent, all).unwrap();
        let mut first = before("here", true);
        first.take(section("pipeline", "old\n")).unwrap();
        first.take(section("churn", "churn\n")).unwrap();
        first.leave(folder.path()).unwrap();
        let mut again = before("here", false);
        again.take(section("pipeline", "new\n")).unwrap();
        let text = again.leave(folder.path()).unwrap();
        assert_eq!(text, "churn\n\nnew\n\n\n## The machine\n\nhere.\n");
        assert_eq!(before("here", false), again);

        assert_eq!(before("here", true).sections.len(), 0);
        assert_eq!(before("there", false).sections.len(), 0);
        fs::write(&agent, "two").unwrap();
        assert_eq!(before("here", false).sections.len(), 0);
    }
}
