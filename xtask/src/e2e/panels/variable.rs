//! The variables of a dashboard, and what stands for them in a query.
//!
//! Takes a variable's definition and the labels that a data source has; gives a text. Pure.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// What Grafana would put in for a range of five minutes and scrapes each second.
pub(super) const BUILT_IN: [(&str, &str); 6] = [
    ("__rate_interval", "15s"),
    ("__interval_ms", "5000"),
    ("__interval", "5s"),
    ("__range_ms", "300000"),
    ("__range_s", "300"),
    ("__range", "5m"),
];

/// A variable.
#[derive(Debug, Deserialize)]
pub(super) struct Variable {
    /// Its name, without the dollar.
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    query: Value,
    #[serde(default, rename = "allValue")]
    all: Option<String>,
}

impl Variable {
    /// What a person who chose everything would see put in.
    pub(super) fn value(
        &self,
        known: &BTreeMap<String, String>,
        values: impl Fn(&str, Option<&str>) -> Result<Vec<String>>,
    ) -> Result<String> {
        let query = self.query.as_str();
        let query = query.or_else(|| self.query.get("query")?.as_str());
        let query = query.unwrap_or_default();
        match self.kind.as_str() {
            "query" => {
                let query = replaced(query, known);
                let inside = query
                    .strip_prefix("label_values(")
                    .and_then(|rest| rest.strip_suffix(')'));
                let inside = inside.with_context(|| format!("{query} is no label_values()"))?;
                let (selector, label) = match inside.rsplit_once(',') {
                    Some((selector, label)) => (Some(selector.trim()), label.trim()),
                    None => (None, inside.trim()),
                };
                let found = values(label, selector)?;
                let first = found.first().context("it has no value here")?;
                Ok(self.all.clone().unwrap_or_else(|| first.clone()))
            }
            // The first that can be chosen.
            _ => Ok(query
                .split(',')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()),
        }
    }
}

/// The text with `$name`, `${name}` and `${name:format}` replaced.
pub(super) fn replaced(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, behind) = if let Some((inside, behind)) =
            after.strip_prefix('{').and_then(|it| it.split_once('}'))
        {
            (inside.split(':').next().unwrap_or_default(), behind)
        } else {
            after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
        };
        if let Some(value) = known.get(name) {
            out.push_str(value);
            rest = behind;
        } else {
            // An end of line in a regular expression, or a name that the data source refuses.
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_stays() {
        let known = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(
            replaced("x=~\"y$\" ${a:csv}$a$ab $", &known),
            "x=~\"y$\" 11$ab $"
        );
    }
}
