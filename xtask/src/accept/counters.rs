//! What the kernel counted against what the agent recorded. Pure.
//!
//! The kernel counts `ActiveOpens` once the SYN is sent (`tcp_connect`),
//! `PassiveOpens` when a child is created (`tcp_create_openreq_child`),
//! `EstabResets` at a transition from `ESTABLISHED` or `CLOSE_WAIT` to `CLOSE`
//! (`tcp_set_state`), and `AttemptFails` when `tcp_done` ends a socket in
//! `SYN_SENT` or `SYN_RECV`; a `close` in `SYN_SENT` does not go through `tcp_done`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The four counters, of the kernel or of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) active_opens: u64,
    pub(crate) passive_opens: u64,
    pub(crate) estab_resets: u64,
    pub(crate) attempt_fails: u64,
}

/// The keys of `trace --json` that matter here.
#[derive(Deserialize)]
struct Record {
    ending: String,
    role: String,
    timeline: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    /// The state after this step, if the step changed it.
    state: Option<String>,
}

impl Counters {
    /// Of the text of `/proc/net/snmp`.
    pub(crate) fn of_kernel(snmp: &str) -> Result<Self> {
        let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let names = lines.next().context("/proc/net/snmp has no line on TCP")?;
        let values = lines
            .next()
            .context("/proc/net/snmp has no values on TCP")?;
        let pairs: BTreeMap<&str, &str> = names
            .split_whitespace()
            .zip(values.split_whitespace())
            .collect();
        let counter = |name: &str| -> Result<u64> {
            let text = pairs.get(name);
            text.and_then(|text| text.parse().ok())
                .with_context(|| format!("/proc/net/snmp has no {name}"))
        };
        Ok(Self {
            active_opens: counter("ActiveOpens")?,
            passive_opens: counter("PassiveOpens")?,
            estab_resets: counter("EstabResets")?,
            attempt_fails: counter("AttemptFails")?,
        })
    }

    /// What was counted since an earlier reading.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            active_opens: self.active_opens.wrapping_sub(before.active_opens),
            passive_opens: self.passive_opens.wrapping_sub(before.passive_opens),
            estab_resets: self.estab_resets.wrapping_sub(before.estab_resets),
            attempt_fails: self.attempt_fails.wrapping_sub(before.attempt_fails),
        }
    }

    fn add(&mut self, record: &Record) {
        let is_connect_failed = record.ending == "connect_failed";
        match record.role.as_str() {
            "client" if !is_connect_failed => self.active_opens += 1,
            "server" => self.passive_opens += 1,
            _ => {}
        }
        let states: Vec<&str> = record
            .timeline
            .iter()
            .filter_map(|step| step.state.as_deref())
            .collect();
        for pair in states.windows(2) {
            match pair {
                ["established" | "close_wait", "close"] => self.estab_resets += 1,
                ["syn_sent" | "syn_recv", "close"]
                    if !is_connect_failed && record.ending != "never_established" =>
                {
                    self.attempt_fails += 1;
                }
                _ => {}
            }
        }
    }

    fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("ActiveOpens", self.active_opens),
            ("PassiveOpens", self.passive_opens),
            (
                "ActiveOpens + PassiveOpens",
                self.active_opens + self.passive_opens,
            ),
            ("EstabResets", self.estab_resets),
            ("AttemptFails", self.attempt_fails),
        ]
    }
}

/// The records of one run, summed.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) counters: Counters,
    /// How many ended how, by role and ending.
    pub(crate) endings: BTreeMap<(String, String), u64>,
}

impl Records {
    /// Of the lines of `trace --json`.
    pub(crate) fn of_trace(lines: &str) -> Result<Self> {
        let mut records = Self::default();
        for line in lines.lines() {
            let record: Record = serde_json::from_str(line)
                .with_context(|| format!("not a record of `trace --json`: {line}"))?;
            records.counters.add(&record);
            *records
                .endings
                .entry((record.role, record.ending))
                .or_default() += 1;
        }
        Ok(records)
    }
}

/// The two side by side.
pub(crate) fn table(kernel: &Counters, agent: &Counters) -> String {
    let head = format!(
        "{:<28}{:>10}{:>10}{:>12}\n",
        "", "kernel", "agent", "difference"
    );
    let rows = kernel.rows().into_iter().zip(agent.rows());
    let rows = rows.map(|((name, kernel), (_, agent))| {
        let difference = i128::from(agent) - i128::from(kernel);
        format!("{name:<28}{kernel:>10}{agent:>10}{difference:>12}\n")
    });
    [head].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_found_by_name() {
        let snmp = "Ip: Forwarding\nIp: 1\n\
                    Tcp: RtoMin ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab\n\
                    Tcp: 200 7 5 2 3 -1\n";
        assert_eq!(
            Counters::of_kernel(snmp).unwrap(),
            Counters {
                active_opens: 7,
                passive_opens: 5,
                estab_resets: 3,
                attempt_fails: 2
            }
        );
    }

    #[test]
    fn records_count_what_the_kernel_counts() {
        let line = |ending: &str, role: &str, states: &[&str]| {
            let timeline: Vec<_> = states
                .iter()
                .map(|state| serde_json::json!({ "state": state }))
                .collect();
            serde_json::json!({ "ending": ending, "role": role, "timeline": timeline }).to_string()
        };
        let lines = [
            line(
                "active_close",
                "client",
                &["syn_sent", "established", "fin_wait1", "fin_wait2", "close"],
            ),
            line(
                "passive_close",
                "server",
                &["syn_recv", "established", "close_wait", "last_ack", "close"],
            ),
            line(
                "peer_reset_after_fin",
                "server",
                &["syn_recv", "established", "close_wait", "close"],
            ),
            line(
                "reset_unread_data",
                "client",
                &["syn_sent", "established", "close"],
            ),
            line("connect_refused", "client", &["syn_sent", "close"]),
            line("never_established", "client", &["syn_sent", "close"]),
            line("connect_failed", "client", &["syn_sent", "close"]),
        ]
        .join("\n");
        let records = Records::of_trace(&lines).unwrap();
        assert_eq!(
            records.counters,
            Counters {
                active_opens: 4,
                passive_opens: 2,
                estab_resets: 2,
                attempt_fails: 1
            }
        );
    }

    #[test]
    fn a_difference_is_shown_with_its_sign() {
        let kernel = Counters {
            active_opens: 3,
            ..Counters::default()
        };
        let agent = Counters {
            active_opens: 1,
            ..Counters::default()
        };
        let text = table(&kernel, &agent);
        let row = text
            .lines()
            .find(|line| line.starts_with("ActiveOpens "))
            .unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["ActiveOpens", "3", "1", "-2"]
        );
    }
}
