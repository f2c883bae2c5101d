//! What the kernel says of the BPF programs of a process.
//!
//! Takes a process; gives its programs, and whether it has attached any. Which it holds is told by
//! `/proc`; their whole names, which the kernel cuts to 15 characters, and their statistics come
//! from bpftool, which reads the names in their BTF.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One program.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Program {
    id: u32,
    /// Its name in the object.
    #[serde(default)]
    pub(super) name: String,
    /// Time in it so far, ns; 0 unless `kernel.bpf_stats_enabled` is set.
    #[serde(default)]
    pub(super) run_time_ns: u64,
    /// How often it ran, counted likewise.
    #[serde(default)]
    pub(super) run_cnt: u64,
}

/// The programs that a process has attached.
pub(super) fn attached_by(bpftool: &Path, pid: u32) -> Result<Vec<Program>> {
    let text = ask(bpftool, &["prog", "show"])?;
    let all: Vec<Program> = serde_json::from_str(&text).context("odd programs")?;
    let links = links_of(pid)?;
    Ok(all
        .into_iter()
        .filter(|it| links.contains(&it.id))
        .collect())
}

/// Whether a process has attached a program to anything: by a link, or, as bpftrace does it, by a
/// perf event, of which `/proc` does not tell.
pub(super) fn has_attached(bpftool: &Path, pid: u32) -> Result<bool> {
    if !links_of(pid)?.is_empty() {
        return Ok(true);
    }
    let text = ask(bpftool, &["perf", "show"])?;
    if text.trim().is_empty() {
        return Ok(false);
    }
    let events: Vec<Value> = serde_json::from_str(&text).context("odd perf events")?;
    let holder = |it: &Value| it.get("pid").and_then(Value::as_u64);
    Ok(events.iter().any(|it| holder(it) == Some(u64::from(pid))))
}

/// The programs of the links that a process holds, by their ids.
fn links_of(pid: u32) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    let mut ids = BTreeSet::new();
    for entry in entries {
        // A descriptor that was closed meanwhile is no link.
        if let Ok(text) = fs::read_to_string(entry?.path()) {
            ids.extend(link(&text));
        }
    }
    Ok(ids)
}

/// The program of a descriptor that is a link (`bpf_link_show_fdinfo`).
fn link(fdinfo: &str) -> Option<u32> {
    let value = |name: &str| {
        let mut lines = fdinfo.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
    };
    value("link_type:")?;
    value("prog_id:")?.parse().ok()
}

/// What bpftool says, as JSON.
pub(super) fn ask(bpftool: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new(bpftool).arg("--json").args(words).output();
    let output = output.with_context(|| format!("cannot start {}", bpftool.display()))?;
    ensure!(
        output.status.success(),
        "bpftool {} failed: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_from_a_program() {
        let common = "pos:\t0\nflags:\t02000000\nmnt_id:\t16\nino:\t57\n";
        let of_link = "link_type:\traw_tracepoint\nlink_id:\t7\nprog_tag:\tab\nprog_id:\t117\n";
        let of_program = "prog_type:\t26\nprog_jited:\t1\nprog_tag:\tab\nprog_id:\t118\n";
        assert_eq!(link(&format!("{common}{of_link}")), Some(117));
        assert_eq!(link(&format!("{common}{of_program}")), None);
        assert_eq!(link(common), None);
    }
}
