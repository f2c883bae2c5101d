//! A dashboard as Grafana's classic JSON has it, as far as the checks look at it.
//! Takes the files of `dashboards/`, gives their variables, panels and queries; changes
//! nothing.

use std::fs;
use std::iter;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// A file with what it says.
#[derive(Debug)]
pub(crate) struct File {
    /// `overview.json`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) dashboard: Dashboard,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Dashboard {
    pub(crate) title: String,
    pub(crate) uid: String,
    pub(crate) id: Option<i64>,
    pub(crate) description: String,
    pub(crate) editable: bool,
    pub(crate) schema_version: u32,
    pub(crate) tags: Vec<String>,
    pub(crate) links: Vec<Link>,
    #[serde(rename = "__inputs")]
    pub(crate) inputs: Option<Value>,
    pub(crate) templating: Templating,
    panels: Vec<Panel>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Link {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) tags: Vec<String>,
    pub(crate) include_vars: bool,
    pub(crate) keep_time: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Templating {
    pub(crate) list: Vec<Variable>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    query: Value,
    pub(crate) datasource: DataSource,
    pub(crate) refresh: u32,
    pub(crate) multi: bool,
    pub(crate) include_all: bool,
    pub(crate) all_value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DataSource {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) uid: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Panel {
    pub(crate) id: u32,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) datasource: DataSource,
    pub(crate) grid_pos: Place,
    pub(crate) targets: Vec<Target>,
    pub(crate) field_config: FieldConfig,
    panels: Vec<Self>,
}

/// In the grid of 24 columns.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Place {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) w: u32,
    pub(crate) h: u32,
}

/// One query of a panel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ref_id: String,
    pub(crate) expr: String,
    pub(crate) legend_format: String,
    pub(crate) datasource: DataSource,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FieldConfig {
    pub(crate) defaults: Defaults,
    pub(crate) overrides: Vec<Override>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Defaults {
    pub(crate) unit: String,
    pub(crate) no_value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Override {
    pub(crate) properties: Vec<Property>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Property {
    pub(crate) id: String,
    pub(crate) value: Value,
}

/// Reads every dashboard of a folder, in the order of their names.
pub(crate) fn load(folder: &Path) -> Result<Vec<File>> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .with_context(|| format!("could not read {}", folder.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.retain(|name| Path::new(name).extension().is_some_and(|it| it == "json"));
    names.sort();
    if names.is_empty() {
        bail!("there is no dashboard in {}", folder.display());
    }
    let read = |name: String| {
        let text = fs::read_to_string(folder.join(&name))
            .with_context(|| format!("could not read dashboards/{name}"))?;
        let dashboard = serde_json::from_str(&text)
            .with_context(|| format!("dashboards/{name} is no dashboard"))?;
        Ok(File {
            name,
            text,
            dashboard,
        })
    };
    names.into_iter().map(read).collect()
}

/// The one form in which a dashboard is kept, so that a change shows as what it is: keys in
/// alphabetical order, as Grafana exports them, two spaces, a line for each value.
pub(crate) fn canonical(text: &str) -> Result<String> {
    let mut value: Value = serde_json::from_str(text)?;
    value.sort_all_objects();
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

impl Dashboard {
    /// Its panels and those within rows, rows included.
    pub(crate) fn panels(&self) -> Vec<&Panel> {
        self.panels
            .iter()
            .flat_map(|panel| iter::once(panel).chain(&panel.panels))
            .collect()
    }

    /// The variable that chooses the data source.
    pub(crate) fn source(&self) -> Option<&Variable> {
        self.templating
            .list
            .iter()
            .find(|variable| variable.kind == "datasource")
    }
}

impl Variable {
    /// What it asks: older forms are a text, newer ones an object.
    pub(crate) fn question(&self) -> &str {
        let text = self.query.get("query").unwrap_or(&self.query);
        text.as_str().unwrap_or_default()
    }
}

impl Panel {
    /// Whether it draws data, as headings and texts do not.
    pub(crate) fn draws(&self) -> bool {
        !["row", "text"].contains(&self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dashboard_has_one_form() {
        let kept = "{\n  \"a\": [],\n  \"b\": {\n    \"c\": 1,\n    \"d\": \"é\"\n  }\n}\n";
        let other = "{\"b\":{\"d\":\"\\u00e9\",\"c\":1},\"a\":[]}";
        assert_eq!(canonical(other).unwrap(), kept);
        assert_eq!(canonical(kept).unwrap(), kept);
    }

    #[test]
    fn panels_within_a_row_are_found() {
        let dashboard: Dashboard = serde_json::from_str(
            r#"{"panels": [{"title": "a", "type": "row", "panels": [{"title": "b"}]}, {"title": "c"}]}"#,
        )
        .unwrap();
        let titles: Vec<&str> = dashboard
            .panels()
            .iter()
            .map(|panel| panel.title.as_str())
            .collect();
        assert_eq!(titles, ["a", "b", "c"]);
    }
}
