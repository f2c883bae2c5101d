//! Each backend of the agent beside its own floor, in a VM: natively a kernel may allow one only.
//!
//! Takes the agent and a way to boot a guest; gives instructions of the agent's programs and of
//! empty ones on the same hooks. The guest's clock counts instructions, so that they depend neither
//! on the machine nor on what else it does. Says why, where no guest can be booted.

mod found;
pub mod guest;
mod rows;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::limits::{Check, Limit, Limits, Twin};
use super::{Options, Section, say};
use found::Found;

pub(super) use found::Runs;

/// What came of a guest.
#[derive(Clone, Debug)]
pub enum Guest {
    /// It ran to its end: what it said.
    Said(String),
    /// Why there can be none on this machine.
    Impossible(String),
}

/// Boots a guest that runs this program with some words, beside an agent.
pub type Boot = fn(agent: &Path, words: &[&str]) -> Result<Guest>;

const HEADING: &str = "## Each backend beside its own floor\n\n";

/// Measures it.
pub(super) fn measure(agent: &Path, options: &Options, limits: &Limits) -> Result<Section> {
    let Some(boot) = options.boot else {
        return Ok(not_measured("no guest can be booted from here"));
    };
    if options.tools.bpftool.is_none() {
        return Ok(not_measured("bpftool is missing"));
    }
    say("twins: a guest measures each backend, for some minutes")?;
    let connections = guest::CONNECTIONS.to_string();
    let said = match boot(agent, &["bench-guest", "--connections", &connections])? {
        Guest::Said(said) => said,
        Guest::Impossible(why) => return Ok(not_measured(&why)),
    };
    let found = Found::among(&said)?;
    ensure!(!found.is_empty(), "the guest found nothing");
    let release = release(&said).context("the guest does not say which kernel it is")?;
    Ok(Section {
        name: "twins",
        table: format!("{HEADING}{}", rows::tables(&release, &found)),
        checks: checks(&found, limits)?,
        data: json!({ "kernel": release, "backends": found }),
    })
}

/// What each backend adds, over what a connection takes and over its floor.
fn checks(found: &[Found], limits: &Limits) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for it in found {
        let Some(twin) = Twin::named(&it.backend) else {
            continue;
        };
        let (bare, floor) = (
            it.cost.over(&it.cost.bare),
            it.cost.over(&it.cost.floor_added),
        );
        checks.push(limits.check(Limit::InstructionsOverBare(twin), &bare)?);
        checks.push(limits.check(Limit::InstructionsOverFloor(twin), &floor)?);
    }
    Ok(checks)
}

fn not_measured(why: &str) -> Section {
    // An error may have several lines, the row has one.
    let why = why.lines().collect::<Vec<_>>().join("; ");
    Section {
        name: "twins",
        table: format!("{HEADING}Not measured: {why}.\n"),
        data: json!(null),
        checks: Vec::new(),
    }
}

/// The kernel, by the line that each guest begins with.
fn release(said: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line.get("release")?.as_str()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_guest_the_section_says_so_in_one_line() {
        let section = not_measured("no QEMU\napt-get install it");
        let mut lines = section.table.lines().skip(2);
        assert_eq!(
            lines.next(),
            Some("Not measured: no QEMU; apt-get install it.")
        );
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn the_kernel_is_told_by_the_first_process() {
        let said = "{\"booted\": 1.5, \"release\": \"6.12.1-x\"}\n{\"exit\": 0}\n";
        assert_eq!(release(said).as_deref(), Some("6.12.1-x"));
        assert_eq!(release("{\"exit\": 0}\n"), None);
    }
}
