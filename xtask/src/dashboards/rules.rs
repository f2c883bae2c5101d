//! The recording and alerting rules.
//! Takes a file of rules, gives each rule with its expression and texts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Content {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rule {
    /// The name of what it records, unless it is an alert.
    #[serde(default)]
    pub(super) record: String,
    #[serde(default)]
    pub(super) alert: String,
    pub(super) expr: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// Reads the rules of a file, in their order.
pub(super) fn load(path: &Path) -> Result<Vec<Rule>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no file of rules", path.display()))
}

fn parse(text: &str) -> Result<Vec<Rule>> {
    let content: Content = serde_saphyr::from_str(text)?;
    let groups = content.groups.into_iter();
    Ok(groups.flat_map(|group| group.rules).collect())
}

impl Rule {
    /// Its name, whatever it does.
    pub(super) fn name(&self) -> &str {
        if self.alert.is_empty() {
            &self.record
        } else {
            &self.alert
        }
    }

    /// The labels that its texts name, as `{{ $labels.NAME }}`.
    pub(super) fn labels_in_texts(&self) -> Vec<&str> {
        let texts = self.annotations.values().chain(self.labels.values());
        texts
            .flat_map(|text| text.split("$labels.").skip(1))
            .map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
            })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One rule of each kind.
    pub(in crate::dashboards) fn two() -> Vec<Rule> {
        parse(
            r#"
groups:
  - name: a
    interval: 30s
    rules:
      - record: instance_port:wait_seconds:p99
        expr: histogram_quantile(0.99, sum by (job, instance, port, le) (rate(wait_seconds_bucket[5m])))
        labels: {quantile: "0.99"}
      - alert: Old
        expr: |
          max by (instance) (oldest_seconds) > 60
        for: 5m
        annotations:
          summary: "{{ $labels.instance }} is old, {{ $labels.port }}"
"#,
        )
        .unwrap()
    }

    #[test]
    fn rules_are_read_with_their_texts() {
        let rules = two();
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].name(), "instance_port:wait_seconds:p99");
        assert_eq!(rules[0].labels["quantile"], "0.99");
        assert_eq!(rules[1].name(), "Old");
        assert_eq!(rules[1].labels_in_texts(), ["instance", "port"]);
    }
}
