//! The 17 rules of Grafana's dashboard-linter (grafana/dashboard-linter, `lint/rules.go`).
//! Takes a dashboard, gives every breach with the name of its rule. Where a rule of theirs
//! looks at some types of panel only, ours looks at all that draw data, and it has no
//! exemptions.

mod panel;
mod target;
mod template;
#[cfg(test)]
mod tests;

pub(super) use template::selector_of;
#[cfg(test)]
pub(super) use tests::sound;

use super::model::{Dashboard, Panel, Target};

/// A rule by the name that the linter gives it.
pub(super) struct Rule {
    pub(super) name: &'static str,
    check: Check,
}

/// What a rule looks at; it gives what is wrong with it.
enum Check {
    Dashboard(fn(&Dashboard) -> Vec<String>),
    Panel(fn(&Dashboard, &Panel) -> Vec<String>),
    Target(fn(&Dashboard, &Target) -> Vec<String>),
}

const fn of_dashboard(name: &'static str, check: fn(&Dashboard) -> Vec<String>) -> Rule {
    let check = Check::Dashboard(check);
    Rule { name, check }
}

const fn of_panel(name: &'static str, check: fn(&Dashboard, &Panel) -> Vec<String>) -> Rule {
    let check = Check::Panel(check);
    Rule { name, check }
}

const fn of_target(name: &'static str, check: fn(&Dashboard, &Target) -> Vec<String>) -> Rule {
    let check = Check::Target(check);
    Rule { name, check }
}

pub(super) const RULES: [Rule; 17] = [
    of_dashboard("template-datasource-rule", template::datasource),
    of_dashboard("template-job-rule", template::job),
    of_dashboard("template-instance-rule", template::instance),
    of_dashboard("template-label-promql-rule", template::label_promql),
    of_dashboard("template-on-time-change-reload-rule", template::reload),
    of_panel("panel-datasource-rule", panel::datasource),
    of_panel("panel-title-description-rule", panel::title_description),
    of_panel("panel-units-rule", panel::units),
    of_panel("panel-no-targets-rule", panel::no_targets),
    of_target("target-logql-rule", target::logql),
    of_target("target-logql-auto-rule", target::logql_auto),
    of_target("target-promql-rule", target::promql),
    of_target("target-rate-interval-rule", target::rate_interval),
    of_target("target-job-rule", target::job),
    of_target("target-instance-rule", target::instance),
    of_target("target-counter-agg-rule", target::counter_aggregation),
    of_dashboard("uneditable-dashboard-rule", uneditable),
];

/// Every breach of every rule.
pub(super) fn breaches(dashboard: &Dashboard) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|rule| {
            let found = rule.breaches(dashboard).into_iter();
            found.map(|breach| format!("{}: {breach}", rule.name))
        })
        .collect()
}

impl Rule {
    /// What breaks this rule; panels and queries are named.
    fn breaches(&self, dashboard: &Dashboard) -> Vec<String> {
        let panels = || dashboard.panels().into_iter();
        match self.check {
            Check::Dashboard(check) => check(dashboard),
            Check::Panel(check) => panels()
                .flat_map(|panel| {
                    let found = check(dashboard, panel).into_iter();
                    found.map(|breach| format!("panel {:?}: {breach}", panel.title))
                })
                .collect(),
            Check::Target(check) => panels()
                .flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)))
                .flat_map(|(panel, target)| {
                    let place = format!("panel {:?}, query {}", panel.title, target.ref_id);
                    let found = check(dashboard, target).into_iter();
                    found.map(move |breach| format!("{place}: {breach}"))
                })
                .collect(),
        }
    }
}

fn uneditable(dashboard: &Dashboard) -> Vec<String> {
    if dashboard.editable {
        return vec!["it can be edited in Grafana; set \"editable\": false".to_owned()];
    }
    Vec::new()
}
