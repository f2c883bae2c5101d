//! What dashboards and rules ask for, held against what there is.
//! Takes dashboards, rules and the agent's metrics; gives every expression that does not
//! parse, names what does not exist or shows a label that its result does not have, and the
//! metrics that are asked for.

use std::collections::BTreeSet;

use super::labels;
use super::lint::selector_of;
use super::metrics::{Labels, Metrics};
use super::model::File;
use super::promql;
use super::rules::Rule;

/// What came of looking at expressions.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) count: usize,
    pub(super) faults: Vec<String>,
    /// The metrics of the agent that they ask for.
    pub(super) used: BTreeSet<String>,
}

impl Looked {
    /// Looks at one expression; gives the labels of its result.
    fn at(&mut self, place: &str, text: &str, metrics: &Metrics) -> Labels {
        self.count += 1;
        let expr = match promql::parse(text) {
            Ok(expr) => expr,
            Err(error) => {
                self.faults.push(format!("{place}: {text:?}: {error}"));
                return Labels::new();
            }
        };
        let names = promql::uses(&expr).into_iter();
        let names = names.filter_map(|it| it.selector.name.as_deref());
        let asked = names.filter_map(|name| metrics.metric_of(name));
        self.used.extend(asked.map(str::to_owned));
        let (labels, complaints) = labels::of(&expr, metrics);
        let complaints = complaints.into_iter();
        self.faults
            .extend(complaints.map(|what| format!("{place}: {what}")));
        labels
    }

    /// Looks at rules; adds what they record to the metrics, for those who ask for it.
    pub(super) fn at_rules(&mut self, file: &str, rules: &[Rule], metrics: &mut Metrics) {
        for rule in rules {
            let place = format!("{file}: {}", rule.name());
            let mut labels = self.at(&place, &rule.expr, metrics);
            labels.extend(rule.labels.keys().cloned());
            for named in rule.labels_in_texts() {
                if !labels.contains(named) {
                    let what = format!("{place}: a text names the label {named}, it has none");
                    self.faults.push(what);
                }
            }
            if !rule.record.is_empty() {
                metrics.record(&rule.record, labels);
            }
        }
    }

    /// Looks at the variables and panels of a dashboard.
    pub(super) fn at_dashboard(&mut self, file: &File, metrics: &Metrics) {
        for variable in &file.dashboard.templating.list {
            let place = format!("{}: variable {}", file.name, variable.name);
            let question = variable.question();
            let argument = question.strip_prefix("label_values(");
            let argument = argument.and_then(|rest| rest.strip_suffix(')'));
            let Some((selector, label)) = argument
                .and_then(|argument| Some((selector_of(argument)?, argument.rsplit_once(',')?.1)))
            else {
                continue;
            };
            let labels = self.at(&place, selector, metrics);
            self.demand(&place, &labels, label.trim());
        }
        for panel in file.dashboard.panels() {
            for target in &panel.targets {
                let place = format!("{}: panel {:?} {}", file.name, panel.title, target.ref_id);
                let labels = self.at(&place, &target.expr, metrics);
                for label in in_legend(&target.legend_format) {
                    self.demand(&place, &labels, label);
                }
            }
        }
    }

    fn demand(&mut self, place: &str, labels: &Labels, label: &str) {
        if !labels.contains(label) {
            self.faults
                .push(format!("{place}: its result has no label {label}"));
        }
    }
}

/// The labels that a legend shows, as `{{label}}`.
fn in_legend(legend: &str) -> impl Iterator<Item = &str> {
    let opened = legend.split("{{").skip(1);
    opened.filter_map(|rest| Some(rest.split_once("}}")?.0.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::metrics::tests::few;
    use crate::dashboards::rules::tests::two;
    use serde_json::json;

    fn file(expr: &str, legend: &str, question: &str) -> File {
        let dashboard = json!({
            "templating": {"list": [{"name": "job", "type": "query", "query": question}]},
            "panels": [{"title": "How?", "targets": [
                {"refId": "A", "expr": expr, "legendFormat": legend}
            ]}],
        });
        File {
            name: "a.json".to_owned(),
            text: String::new(),
            dashboard: serde_json::from_value(dashboard).unwrap(),
        }
    }

    fn faults(expr: &str, legend: &str, question: &str) -> Vec<String> {
        let mut looked = Looked::default();
        looked.at_dashboard(&file(expr, legend, question), &few());
        looked.faults
    }

    const JOBS: &str = "label_values(oldest_seconds, job)";
    const SUM: &str = "sum by (ending) (rate(ended_total{job=~\"$job\"}[$__rate_interval]))";

    #[test]
    fn a_panel_that_asks_for_what_there_is_has_no_fault() {
        assert_eq!(faults(SUM, "{{ending}}", JOBS), [""; 0]);
    }

    #[test]
    fn legends_and_variables_name_labels_that_there_are() {
        assert_eq!(
            faults(SUM, "{{ending}} {{role}}", JOBS),
            ["a.json: panel \"How?\" A: its result has no label role"]
        );
        assert_eq!(
            faults(SUM, "", "label_values(oldest_seconds{comm=\"a\"}, port)"),
            [
                "a.json: variable job: oldest_seconds has no label comm",
                "a.json: variable job: its result has no label port"
            ]
        );
    }

    #[test]
    fn what_rules_record_can_be_asked_for() {
        let (mut metrics, mut looked) = (few(), Looked::default());
        looked.at_rules("rules.yaml", &two(), &mut metrics);
        assert_eq!(
            looked.faults,
            ["rules.yaml: Old: a text names the label port, it has none"]
        );
        let recorded = "instance_port:wait_seconds:p99{quantile=\"0.99\"}";
        looked.at_dashboard(&file(recorded, "{{port}} {{instance}}", JOBS), &metrics);
        assert_eq!(looked.faults.len(), 1);
        assert_eq!(looked.count, 4);
        let used: Vec<&str> = looked.used.iter().map(String::as_str).collect();
        assert_eq!(used, ["oldest_seconds", "wait_seconds"]);
    }
}
