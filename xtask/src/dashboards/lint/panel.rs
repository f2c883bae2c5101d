//! Rules about the panels of a dashboard.

use crate::dashboards::model::{Dashboard, Panel};

/// The units that Grafana knows, `categories.ts` of its package `data`.
const UNITS: &str = include_str!("units.txt");

pub(super) fn datasource(dashboard: &Dashboard, panel: &Panel) -> Vec<String> {
    let uid = &panel.datasource.uid;
    let variables = dashboard.templating.list.iter();
    let mut sources = variables.filter(|variable| variable.kind == "datasource");
    let is_variable =
        sources.any(|it| *uid == format!("${}", it.name) || *uid == format!("${{{}}}", it.name));
    if !panel.draws() || is_variable {
        return Vec::new();
    }
    vec![format!(
        "its data source is {uid:?}, not a variable of the dashboard"
    )]
}

pub(super) fn title_description(_: &Dashboard, panel: &Panel) -> Vec<String> {
    let mut breaches = Vec::new();
    if panel.title.is_empty() {
        breaches.push(format!("panel {} has no title", panel.id));
    }
    // A row is a heading; Grafana shows no description of it.
    if panel.kind != "row" && panel.description.is_empty() {
        breaches.push("it has no description".to_owned());
    }
    breaches
}

pub(super) fn units(_: &Dashboard, panel: &Panel) -> Vec<String> {
    if !panel.draws() {
        return Vec::new();
    }
    let config = &panel.field_config;
    let properties = config.overrides.iter().flat_map(|it| &it.properties);
    let of_overrides = properties
        .filter(|property| property.id == "unit")
        .map(|property| property.value.as_str().unwrap_or_default());
    of_overrides
        .chain([config.defaults.unit.as_str()])
        .filter(|unit| !UNITS.split_whitespace().any(|known| known == *unit))
        .map(|unit| format!("{unit:?} is no unit that Grafana knows"))
        .collect()
}

pub(super) fn no_targets(_: &Dashboard, panel: &Panel) -> Vec<String> {
    if panel.draws() && panel.targets.is_empty() {
        return vec!["it asks for nothing".to_owned()];
    }
    Vec::new()
}
