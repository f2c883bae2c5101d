//! Rules about the queries of panels.

use promql_parser::label::MatchOp;
use promql_parser::parser::Expr;

use super::template::asks_prometheus;
use crate::dashboards::model::{Dashboard, Target};
use crate::dashboards::promql::{self, Use};

/// Functions that turn a counter into something to look at.
const RATES: [&str; 3] = ["rate", "irate", "increase"];

/// The agent writes no logs that a dashboard shows, so no LogQL is valid here: the rule that
/// asks whether it parses holds where there is none.
pub(super) fn logql(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    if !asks_loki(dashboard, target) {
        return Vec::new();
    }
    vec!["it asks Loki, and LogQL cannot be checked here".to_owned()]
}

pub(super) fn logql_auto(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    if !asks_loki(dashboard, target) {
        return Vec::new();
    }
    ranges(&target.expr)
        .filter(|range| !["$__auto", "${__auto}"].contains(range))
        .map(|range| format!("the range {range} should be $__auto"))
        .collect()
}

fn asks_loki(dashboard: &Dashboard, target: &Target) -> bool {
    let source = dashboard.source();
    target.datasource.kind == "loki" || source.is_some_and(|source| source.question() == "loki")
}

/// What stands in brackets outside of quotes.
fn ranges(text: &str) -> impl Iterator<Item = &str> {
    let unquoted = text.split('"').step_by(2);
    unquoted
        .flat_map(|part| part.split('[').skip(1))
        .filter_map(|rest| Some(rest.split_once(']')?.0))
}

pub(super) fn promql(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    if !asks_prometheus(dashboard) {
        return Vec::new();
    }
    let error = promql::parse(&target.expr).err();
    error
        .map(|error| format!("{:?} is no PromQL: {error}", target.expr))
        .into_iter()
        .collect()
}

pub(super) fn rate_interval(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    each_use(dashboard, target, |it| {
        let is_fixed = it.range.is_some_and(|range| range != promql::RATE_INTERVAL);
        let name = it.selector.name.as_deref().unwrap_or_default();
        match it.within {
            Some("rate" | "irate") if is_fixed => {
                Some(format!("the range of {name} should be $__rate_interval"))
            }
            None if it.range.is_some() => Some(format!("the range of {name} is in no function")),
            Some(_) | None => None,
        }
    })
}

pub(super) fn job(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    matched(dashboard, target, "job")
}

pub(super) fn instance(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    matched(dashboard, target, "instance")
}

/// Every selector has `LABEL=~"$LABEL"`.
fn matched(dashboard: &Dashboard, target: &Target, label: &str) -> Vec<String> {
    each_use(dashboard, target, |it| {
        let mut matchers = it.selector.matchers.matchers.iter();
        let is_matched = matchers.any(|matcher| {
            matcher.name == label
                && matcher.value == format!("${label}")
                && matches!(matcher.op, MatchOp::Re(_))
        });
        let name = it.selector.name.as_deref().unwrap_or_default();
        (!is_matched).then(|| format!("{name} lacks {label}=~\"${label}\""))
    })
}

pub(super) fn counter_aggregation(dashboard: &Dashboard, target: &Target) -> Vec<String> {
    each_use(dashboard, target, |it| {
        let name = it.selector.name.as_deref().unwrap_or_default();
        let is_rate = it.range.is_some() && it.within.is_some_and(|within| RATES.contains(&within));
        let is_bare = name.ends_with("_total") && !is_rate;
        is_bare.then(|| format!("the counter {name} is not under rate, irate or increase"))
    })
}

/// What is wrong with each selection; an expression that does not parse is another rule's.
fn each_use(
    dashboard: &Dashboard,
    target: &Target,
    check: impl Fn(Use<'_>) -> Option<String>,
) -> Vec<String> {
    if !asks_prometheus(dashboard) {
        return Vec::new();
    }
    let Ok(expr): Result<Expr, _> = promql::parse(&target.expr) else {
        return Vec::new();
    };
    promql::uses(&expr).into_iter().filter_map(check).collect()
}
