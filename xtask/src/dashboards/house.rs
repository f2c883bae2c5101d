//! What this repository asks of a dashboard beyond Grafana's linter.
//! Takes a file, gives every breach: its form, its identity, its links, and panels that a
//! person can read without knowing how they are made.

use super::foreign;
use super::model::{self, Dashboard, File, Panel, Place};

/// What Grafana 13 calls the classic form.
const SCHEMA: u32 = 42;
/// The tag by which the dashboards find each other, and the start of each uid.
const TAG: &str = "tcp-observer";
/// Types that Grafana's own components can draw outside of Grafana, and headings.
const TYPES: [&str; 6] = ["timeseries", "stat", "bargauge", "table", "row", "text"];
const COLUMNS: u32 = 24;
/// A shorter description does not say both what it means and what to do.
const SHORTEST: usize = 40;

/// Every breach in a file.
pub(super) fn breaches(file: &File) -> Vec<String> {
    let dashboard = &file.dashboard;
    let mut found = of_identity(file);
    found.extend(of_links(dashboard));
    found.extend(of_numbers(dashboard));
    found.extend(of_places(dashboard));
    for panel in dashboard.panels() {
        let of_panel = of_panel(panel).into_iter().chain(foreign::breaches(panel));
        found.extend(of_panel.map(|breach| format!("panel {:?}: {breach}", panel.title)));
    }
    found
}

fn of_identity(file: &File) -> Vec<String> {
    let dashboard = &file.dashboard;
    let stem = file.name.trim_end_matches(".json");
    let uid = format!("{TAG}-{stem}");
    let is_canonical = model::canonical(&file.text).is_ok_and(|text| text == file.text);
    chosen([
        (
            !is_canonical,
            "its form is not the canonical one; run `cargo xtask dashboards format`".to_owned(),
        ),
        (
            dashboard.schema_version != SCHEMA,
            format!("schemaVersion is not {SCHEMA}"),
        ),
        (dashboard.uid != uid, format!("its uid is not {uid}")),
        (
            dashboard.id.is_some(),
            "an id belongs to one Grafana; set it to null".to_owned(),
        ),
        (
            dashboard.inputs.is_some(),
            "__inputs are not filled where files are provisioned; use the variable datasource"
                .to_owned(),
        ),
        (
            !dashboard.tags.iter().any(|tag| tag == TAG),
            format!("it lacks the tag {TAG}"),
        ),
        (
            dashboard.description.is_empty(),
            "it has no description".to_owned(),
        ),
    ])
}

fn of_links(dashboard: &Dashboard) -> Vec<String> {
    let is_linked = dashboard.links.iter().any(|link| {
        link.kind == "dashboards" && link.tags == [TAG] && link.include_vars && link.keep_time
    });
    let variables = &dashboard.templating.list;
    let multiple = variables.iter().filter(|variable| variable.multi);
    chosen([
        (
            !is_linked,
            format!("no link leads to the dashboards of the tag {TAG}, with variables and time"),
        ),
        (
            multiple.clone().any(|variable| !variable.include_all),
            "a variable of several values has no All".to_owned(),
        ),
    ])
}

fn of_numbers(dashboard: &Dashboard) -> Vec<String> {
    let mut ids: Vec<u32> = dashboard.panels().iter().map(|panel| panel.id).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).filter(|pair| pair.first() == pair.last());
    let twice = twice.filter_map(|pair| pair.first());
    twice
        .map(|id| format!("two panels have the id {id}"))
        .collect()
}

fn of_places(dashboard: &Dashboard) -> Vec<String> {
    let panels = dashboard.panels();
    let mut found = Vec::new();
    for (number, panel) in panels.iter().enumerate() {
        let place = panel.grid_pos;
        if place.w == 0 || place.h == 0 || place.x + place.w > COLUMNS {
            found.push(format!("panel {:?} is not within the grid", panel.title));
        }
        for other in panels.iter().skip(number + 1) {
            if overlap(place, other.grid_pos) {
                let (one, two) = (&panel.title, &other.title);
                found.push(format!("panels {one:?} and {two:?} overlap"));
            }
        }
    }
    found
}

const fn overlap(one: Place, two: Place) -> bool {
    one.x < two.x + two.w && two.x < one.x + one.w && one.y < two.y + two.h && two.y < one.y + one.h
}

fn of_panel(panel: &Panel) -> Vec<String> {
    let is_drawn = panel.draws();
    let targets = &panel.targets;
    chosen([
        (
            !TYPES.contains(&panel.kind.as_str()),
            format!("its type {:?} is none of {TYPES:?}", panel.kind),
        ),
        (
            is_drawn && !panel.title.ends_with('?'),
            "its title is no question".to_owned(),
        ),
        (
            is_drawn && panel.title.len() > longest_title(panel),
            "its title is cut at this width".to_owned(),
        ),
        (
            panel.kind != "row" && panel.description.len() < SHORTEST,
            "its description does not say what it means and what to do next".to_owned(),
        ),
        (
            is_drawn && panel.field_config.defaults.no_value.is_empty(),
            "it does not say what it means that there is no value (noValue)".to_owned(),
        ),
        (
            targets
                .iter()
                .any(|it| it.datasource.uid != "${datasource}"),
            "a query does not use ${datasource}".to_owned(),
        ),
        (
            panel.kind == "timeseries" && targets.iter().any(|it| it.legend_format.is_empty()),
            "a query has no legend".to_owned(),
        ),
    ])
}

/// What fits over a panel on a screen of 1,600 pixels.
fn longest_title(panel: &Panel) -> usize {
    usize::try_from(panel.grid_pos.w * 7 + 2).unwrap_or_default()
}

fn chosen<const N: usize>(faults: [(bool, String); N]) -> Vec<String> {
    let faults = faults.into_iter();
    faults
        .filter_map(|(is_fault, what)| is_fault.then_some(what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::lint::sound;
    use serde_json::{Value, json};

    /// What is wrong with the sound dashboard after a change at a pointer.
    fn after(pointer: &str, value: Value) -> Vec<String> {
        let mut dashboard = sound();
        if !pointer.is_empty() {
            *dashboard.pointer_mut(pointer).unwrap() = value;
        }
        breaches(&File {
            name: "overview.json".to_owned(),
            text: model::canonical(&dashboard.to_string()).unwrap(),
            dashboard: serde_json::from_value(dashboard).unwrap(),
        })
    }

    #[test]
    fn a_sound_dashboard_has_no_breach() {
        assert_eq!(after("", Value::Null), [""; 0]);
    }

    #[test]
    fn each_breach_is_named() {
        for (pointer, value, said) in [
            ("/schemaVersion", json!(41), "schemaVersion is not 42"),
            ("/uid", json!("a"), "its uid is not tcp-observer-overview"),
            ("/id", json!(7), "an id belongs to one Grafana"),
            ("/__inputs", json!([]), "__inputs are not filled"),
            ("/tags", json!([]), "it lacks the tag tcp-observer"),
            ("/links/0/includeVars", json!(false), "no link leads to"),
            ("/panels/1/id", json!(1), "two panels have the id 1"),
            ("/panels/1/gridPos/x", json!(20), "is not within the grid"),
            ("/panels/1/gridPos/y", json!(0), "overlap"),
            ("/panels/1/type", json!("heatmap"), "its type \"heatmap\""),
            ("/panels/1/title", json!("Ends"), "its title is no question"),
            (
                "/panels/1/description",
                json!("Ends."),
                "its description does",
            ),
            ("/panels/1/gridPos/w", json!(2), "its title is cut"),
            (
                "/panels/1/fieldConfig/defaults/noValue",
                json!(""),
                "(noValue)",
            ),
            (
                "/panels/1/targets/0/legendFormat",
                json!(""),
                "has no legend",
            ),
            (
                "/panels/1/targets/0/expr",
                json!("sum(up)"),
                "every target has up",
            ),
        ] {
            let found = after(pointer, value);
            assert_eq!(found.len(), 1, "{pointer}: {found:?}");
            assert!(found[0].contains(said), "{pointer}: {found:?}");
        }
    }

    #[test]
    fn another_form_is_a_breach() {
        let dashboard = sound();
        let found = breaches(&File {
            name: "overview.json".to_owned(),
            text: dashboard.to_string(),
            dashboard: serde_json::from_value(dashboard).unwrap(),
        });
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("canonical"), "{found:?}");
    }
}
