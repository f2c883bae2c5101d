//! Rules about the variables of a dashboard.

use crate::dashboards::model::{Dashboard, Variable};
use crate::dashboards::promql;

/// How a query or a panel may name the data source variable.
pub(super) const SOURCES: [&str; 4] = [
    "$datasource",
    "${datasource}",
    "$prometheus_datasource",
    "${prometheus_datasource}",
];

/// Functions that ask Prometheus for the values of a variable.
const QUESTIONS: [&str; 4] = ["label_names", "label_values", "metrics", "query_result"];

/// What Grafana calls "on time range change".
const ON_TIME_CHANGE: u32 = 2;

pub(super) fn datasource(dashboard: &Dashboard) -> Vec<String> {
    let variables = &dashboard.templating.list;
    let sources: Vec<&Variable> = variables
        .iter()
        .filter(|variable| variable.kind == "datasource")
        .collect();
    if sources.is_empty() {
        return vec!["there is no variable for the data source".to_owned()];
    }
    let mut breaches = Vec::new();
    for source in &sources {
        let kind = source.question();
        let mut names = vec![format!("{}_datasource", kind.to_lowercase())];
        let mut labels = vec![format!("{} data source", capital(kind))];
        if sources.len() == 1 {
            names.push("datasource".to_owned());
            labels.push("Data source".to_owned());
        }
        if !names.contains(&source.name) {
            let names = names.join(" or ");
            breaches.push(format!(
                "the variable {:?} should be named {names}",
                source.name
            ));
        }
        if !labels.contains(&source.label) {
            let labels = labels.join(" or ");
            breaches.push(format!("the label {:?} should be {labels}", source.label));
        }
    }
    breaches
}

pub(super) fn job(dashboard: &Dashboard) -> Vec<String> {
    required(dashboard, "job")
}

pub(super) fn instance(dashboard: &Dashboard) -> Vec<String> {
    required(dashboard, "instance")
}

fn required(dashboard: &Dashboard, name: &str) -> Vec<String> {
    if !asks_prometheus(dashboard) {
        return Vec::new();
    }
    let mut variables = dashboard.templating.list.iter();
    let Some(variable) = variables.find(|variable| variable.name == name) else {
        return vec![format!("there is no variable {name}")];
    };
    let label = capital(name);
    let faults = [
        (
            !SOURCES.contains(&variable.datasource.uid.as_str()),
            format!(
                "{name} should ask ${{datasource}}, not {:?}",
                variable.datasource.uid
            ),
        ),
        (
            variable.kind != "query",
            format!("{name} should be of type query, not {:?}", variable.kind),
        ),
        (
            variable.label != label,
            format!("{name} should have the label {label:?}"),
        ),
        (
            !variable.multi,
            format!("{name} should allow several values"),
        ),
        (
            variable.all_value != ".+",
            format!("allValue of {name} should be \".+\""),
        ),
    ];
    faults
        .into_iter()
        .filter_map(|(is_fault, what)| is_fault.then_some(what))
        .collect()
}

pub(super) fn label_promql(dashboard: &Dashboard) -> Vec<String> {
    if !asks_prometheus(dashboard) {
        return Vec::new();
    }
    queries(dashboard)
        .filter_map(|variable| {
            let why = of_question(variable.question()).err()?;
            Some(format!("the variable {}: {why}", variable.name))
        })
        .collect()
}

/// `label_values(SELECTOR, LABEL)` and its like: a known function of something that parses.
fn of_question(question: &str) -> Result<(), String> {
    let (function, rest) = question
        .split_once('(')
        .ok_or_else(|| format!("{question:?} is no question to Prometheus"))?;
    let argument = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| format!("{question:?} has no closing parenthesis"))?;
    if !QUESTIONS.contains(&function) {
        return Err(format!("there is no function {function}"));
    }
    selector_of(argument).map_or(Ok(()), |selector| promql::parse(selector).map(drop))
}

/// The selector of `SELECTOR, LABEL`; `None` of `LABEL` alone.
pub(in crate::dashboards) fn selector_of(argument: &str) -> Option<&str> {
    let (selector, label) = argument.rsplit_once(',')?;
    let is_label = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    Some(if is_label(label.trim()) {
        selector
    } else {
        argument
    })
}

pub(super) fn reload(dashboard: &Dashboard) -> Vec<String> {
    queries(dashboard)
        .filter(|variable| variable.refresh != ON_TIME_CHANGE)
        .map(|variable| {
            format!(
                "the variable {} should be refreshed when the time range changes (refresh: 2)",
                variable.name
            )
        })
        .collect()
}

fn queries(dashboard: &Dashboard) -> impl Iterator<Item = &Variable> {
    let variables = dashboard.templating.list.iter();
    variables.filter(|variable| variable.kind == "query")
}

/// Rules about Prometheus do not speak of other data sources.
pub(super) fn asks_prometheus(dashboard: &Dashboard) -> bool {
    let source = dashboard.source();
    source.is_some_and(|source| source.question() == "prometheus")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
