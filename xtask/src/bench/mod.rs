//! What the agent costs, measured: `cargo xtask bench`.
//!
//! Takes the agent's path and a folder; prints tables and leaves them there as Markdown and as
//! JSON. Never judges: whoever compares two runs does. Needs root.

mod enumeration;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

/// Runs every section.
pub fn run(agent: &Path, folder: &Path) -> Result<()> {
    let rows = enumeration::measure(agent)?;
    let table = enumeration::table(&rows);
    let mut out = std::io::stdout();
    write!(out, "{table}")?;
    fs::create_dir_all(folder)?;
    let whole = serde_json::to_string_pretty(&json!({ "enumeration": rows }))? + "\n";
    for (name, text) in [("bench.md", table), ("bench.json", whole)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
