//! What the kernel says of BPF programs, through bpftool: it alone tells their whole names and
//! which process holds them.
//!
//! Takes a process; gives its programs, and whether it has attached any.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One program.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Program {
    /// Its name in the object.
    #[serde(default)]
    pub(super) name: String,
    /// Time in it so far, ns; 0 unless `kernel.bpf_stats_enabled` is set.
    #[serde(default)]
    pub(super) run_time_ns: u64,
    /// How often it ran, counted likewise.
    #[serde(default)]
    pub(super) run_cnt: u64,
    #[serde(default)]
    pids: Vec<Holder>,
}

#[derive(Clone, Debug, Deserialize)]
struct Holder {
    pid: u32,
}

/// The programs that a process holds.
pub(super) fn programs_of(bpftool: &Path, pid: u32) -> Result<Vec<Program>> {
    let text = ask(bpftool, &["prog", "show"])?;
    let all: Vec<Program> = serde_json::from_str(&text).context("odd programs")?;
    let held = |it: &Program| it.pids.iter().any(|holder| holder.pid == pid);
    Ok(all.into_iter().filter(held).collect())
}

/// Whether a process has attached a program to anything.
pub(super) fn has_attached(bpftool: &Path, pid: u32) -> Result<bool> {
    let events: Vec<Value> = list(bpftool, "perf")?;
    let links: Vec<Value> = list(bpftool, "link")?;
    let is = |it: &Value| it.get("pid").and_then(Value::as_u64) == Some(u64::from(pid));
    let holders = |it: &Value| {
        let holders = it.get("pids").and_then(Value::as_array);
        holders.is_some_and(|holders| holders.iter().any(is))
    };
    Ok(events.iter().any(is) || links.iter().any(holders))
}

fn list(bpftool: &Path, what: &str) -> Result<Vec<Value>> {
    let text = ask(bpftool, &[what, "show"])?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).with_context(|| format!("an odd list of {what}"))
}

fn ask(bpftool: &Path, words: &[&str]) -> Result<String> {
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
