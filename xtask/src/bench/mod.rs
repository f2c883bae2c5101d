//! What the agent costs, measured: `cargo xtask bench`.
//!
//! Takes the agent's path, what to measure and a folder; prints tables and leaves them there as
//! Markdown and as JSON. Fails if a guard of `limits.json` does not hold. Needs root. Never sends
//! anything but over loopback, in network namespaces that it makes.

mod agent;
mod bpftool;
mod churn;
mod clock;
mod enumeration;
mod floor;
mod kept;
mod limits;
mod load;
mod machine;
mod maps;
mod memory;
mod mounted;
mod pipeline;
mod probes;
mod readme;
mod scrape;
mod shapes;
mod start;
mod stats;
mod twins;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::load::raise_file_limit;
use kept::Found;
use limits::{Check, Limits};

pub use churn::Tools;
pub use load::{Load, run as load};
pub use twins::{Boot, Guest, guest};

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// CPU that each watcher adds to a connection, and its own
    Churn,
    /// CPU that records add in one shape or another
    Shapes,
    /// Run time of each probe
    Probes,
    /// Instructions of each backend, beside its own floor, in a VM
    Twins,
    /// What an event costs in the agent, by itself
    Pipeline,
    /// The highest churn, and who loses what
    Highest,
    /// Memory once ready
    Start,
    /// Time until ready, by sockets there were before
    Ready,
    /// A scrape at the bound of series
    Scrape,
    /// Memory by connections
    Memory,
    /// What a census costs
    Enumeration,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// All, if there is none.
    pub parts: Vec<Part>,
    /// Rounds of all watchers in turn.
    pub rounds: u32,
    /// Threads of the load.
    pub threads: u32,
    /// Connections of one run.
    pub connections: u64,
    /// Seconds of the highest churn with the agent.
    pub seconds: u64,
    /// Programs of others.
    pub tools: Tools,
    /// How a guest is booted; none can be without it.
    pub boot: Option<Boot>,
    /// The object that sends in several shapes.
    pub shapes: Option<PathBuf>,
    /// The benchmark of the way of an event through the agent.
    pub pipeline: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            rounds: 9,
            threads: 1,
            connections: 100_000,
            seconds: 60,
            tools: Tools::default(),
            boot: None,
            shapes: None,
            pipeline: None,
        }
    }
}

/// What one part found.
#[derive(Debug)]
struct Section {
    name: &'static str,
    /// As Markdown, with its heading.
    table: String,
    data: Value,
    checks: Vec<Check>,
}

/// Measures, and leaves `bench.md` and `bench.json` in the folder; gives the tables. Of the parts
/// that are not measured they have what an earlier run of the same agent found on this machine.
pub fn run(agent: &Path, options: &Options, folder: &Path) -> Result<String> {
    raise_file_limit()?;
    let limits = Limits::shipped()?;
    let _tracing = mounted::tracing()?;
    let machine = machine::described()?;
    let mut out = std::io::stdout();
    let mut found = Found::before(folder, &machine, agent, options.parts.is_empty())?;
    let mut text = String::new();
    for part in wanted(&options.parts) {
        let section = part.measure(agent, options, &limits, folder)?;
        writeln!(out, "\n{}", section.table)?;
        found.take(section)?;
        // What an hour has measured is not lost with the part that fails.
        text = found.leave(folder)?;
    }
    writeln!(out, "{}\n{machine}\n{}", found.limits(), folder.display())?;
    match found.failed() {
        0 => Ok(text),
        failed => bail!("{failed} guards do not hold; the rows with FAIL"),
    }
}

/// Writes the tables between the marks of README.
pub fn write_readme(path: &Path, tables: &str) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = readme::with(&text, tables)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Part {
    const ALL: [Self; 11] = [
        Self::Churn,
        Self::Shapes,
        Self::Probes,
        Self::Twins,
        Self::Pipeline,
        Self::Highest,
        Self::Start,
        Self::Ready,
        Self::Scrape,
        Self::Memory,
        Self::Enumeration,
    ];

    fn measure(
        self,
        agent: &Path,
        options: &Options,
        limits: &Limits,
        folder: &Path,
    ) -> Result<Section> {
        match self {
            Self::Churn => churn::measure(agent, options, limits),
            Self::Shapes => churn::shapes(agent, options),
            Self::Probes => probes::measure(agent, options),
            Self::Twins => twins::measure(agent, options, limits),
            Self::Pipeline => pipeline::measure(options, limits, folder),
            Self::Highest => churn::highest(agent, options, limits),
            Self::Start => start::memory(agent, options, limits),
            Self::Ready => start::ready(agent, options, limits),
            Self::Scrape => scrape::measure(agent, limits),
            Self::Memory => memory::measure(agent, limits),
            Self::Enumeration => {
                let rows = enumeration::measure(agent)?;
                Ok(Section {
                    name: "enumeration",
                    table: enumeration::table(&rows),
                    data: json!(rows),
                    checks: Vec::new(),
                })
            }
        }
    }
}

/// The parts in their own order, each once.
fn wanted(parts: &[Part]) -> impl Iterator<Item = Part> {
    let all = parts.is_empty();
    Part::ALL
        .into_iter()
        .filter(move |it| all || parts.contains(it))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_part_is_measured_unless_some_are_named() {
        let all: Vec<Part> = wanted(&[]).collect();
        assert_eq!(all, Part::value_variants());
        let named = wanted(&[Part::Memory, Part::Churn, Part::Memory]);
        assert_eq!(named.collect::<Vec<_>>(), [Part::Churn, Part::Memory]);
    }
}
