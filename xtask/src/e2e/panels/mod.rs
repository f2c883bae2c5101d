//! The queries of the dashboards.
//!
//! Takes the JSON of a dashboard as Grafana reads it; gives each panel's queries with variables
//! replaced by the values that a data source has. Pure.

mod variable;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use variable::{BUILT_IN, Variable, replaced};

/// A dashboard, as far as it asks anything.
#[derive(Debug, Deserialize)]
pub(super) struct Dashboard {
    /// Its fixed id.
    pub(super) uid: String,
    #[serde(default)]
    panels: Vec<Panel>,
    #[serde(default)]
    templating: Templating,
}

#[derive(Debug, Deserialize)]
struct Panel {
    #[serde(default)]
    title: String,
    #[serde(default)]
    targets: Vec<Target>,
    /// Those of a collapsed row.
    #[serde(default)]
    panels: Vec<Self>,
}

#[derive(Debug, Deserialize)]
struct Target {
    #[serde(default)]
    expr: String,
    #[serde(default)]
    instant: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Templating {
    #[serde(default)]
    list: Vec<Variable>,
}

/// One query of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// The panel's title.
    pub(super) panel: String,
    /// PromQL, without variables.
    pub(super) expr: String,
    /// Whether it asks for one moment.
    pub(super) instant: bool,
}

/// Reads a dashboard.
pub(super) fn read(text: &str) -> Result<Dashboard> {
    serde_json::from_str(text).context("not a dashboard")
}

impl Dashboard {
    /// All queries. `values` gives the values of a label of the series that a selector matches.
    pub(super) fn queries(
        &self,
        values: impl Fn(&str, Option<&str>) -> Result<Vec<String>>,
    ) -> Result<Vec<Query>> {
        let mut known: BTreeMap<String, String> = BUILT_IN
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for variable in &self.templating.list {
            let value = variable
                .value(&known, &values)
                .with_context(|| format!("variable {}", variable.name))?;
            known.insert(variable.name.clone(), value);
        }
        let mut queries = Vec::new();
        for panel in &self.panels {
            panel.collect(&known, &mut queries);
        }
        Ok(queries)
    }

    /// The titles of all panels that ask.
    pub(super) fn titles(&self) -> Vec<&str> {
        let inner = self.panels.iter().flat_map(|row| &row.panels);
        let all = self.panels.iter().chain(inner);
        all.map(|panel| panel.title.as_str()).collect()
    }
}

impl Panel {
    fn collect(&self, known: &BTreeMap<String, String>, queries: &mut Vec<Query>) {
        for target in self.targets.iter().filter(|it| !it.expr.is_empty()) {
            queries.push(Query {
                panel: self.title.clone(),
                expr: replaced(&target.expr, known),
                instant: target.instant,
            });
        }
        for panel in &self.panels {
            panel.collect(known, queries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DASHBOARD: &str = r#"{
        "uid": "one", "title": "One",
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
            {"name": "job", "type": "query", "query": {"query": "label_values(build_info, job)"}, "allValue": ".+"},
            {"name": "instance", "type": "query", "query": "label_values(build_info{job=~\"$job\", a=\"b\"}, instance)"}
        ]},
        "panels": [
            {"type": "row", "title": "Row", "panels": [
                {"title": "Inner", "targets": [{"expr": "x{job=~\"$job\"} > 0", "instant": true}]}
            ]},
            {"title": "Outer", "targets": [
                {"expr": "rate(y{instance=~\"${instance:regex}\"}[$__rate_interval])"}, {"refId": "B"}
            ]},
            {"type": "text", "title": "Next"}
        ]
    }"#;

    #[test]
    fn queries_of_rows_too_are_found_with_values_for_their_variables() {
        let dashboard = read(DASHBOARD).unwrap();
        let values = |label: &str, selector: Option<&str>| {
            let selector = selector.unwrap();
            Ok(match label {
                "job" if selector == "build_info" => vec!["agent".to_owned()],
                "instance" if selector == r#"build_info{job=~".+", a="b"}"# => {
                    vec!["h:1".to_owned()]
                }
                _ => Vec::new(),
            })
        };
        let query = |panel: &str, expr: &str, instant| Query {
            panel: panel.to_owned(),
            expr: expr.to_owned(),
            instant,
        };
        assert_eq!(
            dashboard.queries(values).unwrap(),
            [
                query("Inner", r#"x{job=~".+"} > 0"#, true),
                query("Outer", r#"rate(y{instance=~"h:1"}[15s])"#, false),
            ]
        );
        assert_eq!(dashboard.titles(), ["Row", "Outer", "Next", "Inner"]);
    }

    #[test]
    fn a_variable_without_a_value_is_an_error() {
        let dashboard = read(DASHBOARD).unwrap();
        let error = dashboard.queries(|_, _| Ok(Vec::new())).unwrap_err();
        assert_eq!(format!("{error:#}"), "variable job: it has no value here");
    }
}
