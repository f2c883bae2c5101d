//! Each rule is broken by a dashboard that is sound but for one thing.

use super::*;
use serde_json::{Value, json};

/// A dashboard that breaks no rule.
pub(in crate::dashboards) fn sound() -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let variable = |name: &str, label: &str| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": source,
            "query": {"query": format!("label_values(up, {name})")},
            "refresh": 2, "multi": true, "includeAll": true, "allValue": ".+",
        })
    };
    json!({
        "title": "Overview", "uid": "tcp-observer-overview", "id": null, "__inputs": null,
        "description": "Is anything wrong?", "editable": false, "schemaVersion": 42,
        "tags": ["tcp-observer"],
        "links": [{
            "type": "dashboards", "tags": ["tcp-observer"],
            "includeVars": true, "keepTime": true,
        }],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            variable("job", "Job"),
            variable("instance", "Instance"),
        ]},
        "panels": [
            {"id": 1, "type": "row", "title": "Now", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
            {
                "id": 2, "type": "timeseries", "title": "Who ends connections?",
                "description": "Ends a second by side. Next: ask the side that grows.",
                "datasource": source, "gridPos": {"x": 0, "y": 1, "w": 12, "h": 8},
                "fieldConfig": {"defaults": {"unit": "cps", "noValue": "none"}, "overrides": []},
                "targets": [{
                    "refId": "A", "datasource": source, "legendFormat": "ends",
                    "expr": "sum(rate(a_total{job=~\"$job\", instance=~\"$instance\"}[$__rate_interval]))",
                }],
            },
        ],
    })
}

/// The rules that the sound dashboard breaks after changes at pointers.
fn broken(changes: &[(&str, Value)]) -> Vec<&'static str> {
    let mut dashboard = sound();
    for (pointer, value) in changes {
        *dashboard.pointer_mut(pointer).unwrap() = value.clone();
    }
    let dashboard: Dashboard = serde_json::from_value(dashboard).unwrap();
    let rules = RULES.iter();
    rules
        .filter(|rule| !rule.breaches(&dashboard).is_empty())
        .map(|rule| rule.name)
        .collect()
}

fn check(rule: &str, pointer: &str, value: Value) {
    assert_eq!(broken(&[(pointer, value)]), [rule], "{pointer}");
}

const EXPR: &str = "/panels/1/targets/0/expr";

fn check_expr(rule: &str, expr: &str) {
    assert_eq!(broken(&[(EXPR, json!(expr))]), [rule], "{expr}");
}

#[test]
fn a_sound_dashboard_breaks_no_rule() {
    assert_eq!(broken(&[]), [""; 0]);
    let dashboard: Dashboard = serde_json::from_value(sound()).unwrap();
    assert_eq!(breaches(&dashboard), [""; 0]);
}

#[test]
fn template_datasource_rule() {
    let rule = "template-datasource-rule";
    check(rule, "/templating/list/0/label", json!("Source"));
    let other_name = [
        ("/templating/list/0/name", json!("ds")),
        ("/panels/1/datasource/uid", json!("$ds")),
    ];
    assert_eq!(broken(&other_name), [rule]);
    let without = broken(&[("/templating/list/0/type", json!("custom"))]);
    assert!(without.contains(&rule), "{without:?}");
    let long_name = [
        ("/templating/list/0/name", json!("prometheus_datasource")),
        ("/templating/list/0/label", json!("Prometheus data source")),
        (
            "/panels/1/datasource/uid",
            json!("${prometheus_datasource}"),
        ),
    ];
    assert_eq!(broken(&long_name), [""; 0]);
}

#[test]
fn template_job_rule() {
    let rule = "template-job-rule";
    check(rule, "/templating/list/1/name", json!("task"));
    check(rule, "/templating/list/1/label", json!("job"));
    check(rule, "/templating/list/1/multi", json!(false));
    check(rule, "/templating/list/1/allValue", json!(".*"));
    check(rule, "/templating/list/1/type", json!("custom"));
    check(rule, "/templating/list/1/datasource/uid", json!("prom"));
}

#[test]
fn template_instance_rule() {
    let rule = "template-instance-rule";
    check(rule, "/templating/list/2/name", json!("host"));
    check(rule, "/templating/list/2/label", json!("Host"));
    check(rule, "/templating/list/2/multi", json!(false));
    check(rule, "/templating/list/2/allValue", json!(""));
}

#[test]
fn template_label_promql_rule() {
    let rule = "template-label-promql-rule";
    let question = "/templating/list/2/query/query";
    check(rule, question, json!("label_value(up, instance)"));
    check(
        rule,
        question,
        json!("label_values(up{job=~\"$job\", instance)"),
    );
    check(rule, question, json!("instance"));
    assert_eq!(
        broken(&[(question, json!("label_values(instance)"))]),
        [""; 0]
    );
}

#[test]
fn template_on_time_change_reload_rule() {
    let rule = "template-on-time-change-reload-rule";
    check(rule, "/templating/list/1/refresh", json!(1));
}

#[test]
fn panel_datasource_rule() {
    check(
        "panel-datasource-rule",
        "/panels/1/datasource/uid",
        json!("prom"),
    );
}

#[test]
fn panel_title_description_rule() {
    let rule = "panel-title-description-rule";
    check(rule, "/panels/1/title", json!(""));
    check(rule, "/panels/1/description", json!(""));
}

#[test]
fn panel_units_rule() {
    let rule = "panel-units-rule";
    check(rule, "/panels/1/fieldConfig/defaults/unit", json!(""));
    check(
        rule,
        "/panels/1/fieldConfig/defaults/unit",
        json!("connections"),
    );
    let overrides = json!([{"properties": [{"id": "unit", "value": "seconds"}]}]);
    check(rule, "/panels/1/fieldConfig/overrides", overrides);
}

#[test]
fn panel_no_targets_rule() {
    check("panel-no-targets-rule", "/panels/1/targets", json!([]));
}

#[test]
fn target_logql_rule() {
    let auto = "sum(rate({job=~\"$job\"} |= \"a[0]\" [$__auto]))";
    let loki = [
        ("/panels/1/targets/0/datasource/type", json!("loki")),
        ("/templating/list/0/query", json!("loki")),
        ("/templating/list/0/name", json!("loki_datasource")),
        ("/templating/list/0/label", json!("Loki data source")),
        ("/panels/1/datasource/uid", json!("${loki_datasource}")),
        (EXPR, json!(auto)),
    ];
    assert_eq!(broken(&loki), ["target-logql-rule"]);
}

#[test]
fn target_logql_auto_rule() {
    let fixed = "sum(rate({job=~\"$job\"} |= \"a[0]\" [5m]))";
    let loki = [
        ("/templating/list/0/query", json!("loki")),
        ("/templating/list/0/name", json!("loki_datasource")),
        ("/templating/list/0/label", json!("Loki data source")),
        ("/panels/1/datasource/uid", json!("${loki_datasource}")),
        (EXPR, json!(fixed)),
    ];
    assert_eq!(
        broken(&loki),
        ["target-logql-rule", "target-logql-auto-rule"]
    );
}

#[test]
fn target_promql_rule() {
    check_expr("target-promql-rule", "sum(rate(a_total{job=~\"$job\"}[5m])");
    check_expr("target-promql-rule", "");
}

#[test]
fn target_rate_interval_rule() {
    let rule = "target-rate-interval-rule";
    check_expr(
        rule,
        "rate(a_total{job=~\"$job\", instance=~\"$instance\"}[5m])",
    );
    check_expr(
        rule,
        "irate(a_total{job=~\"$job\", instance=~\"$instance\"}[$__interval])",
    );
    let whole = "increase(a_total{job=~\"$job\", instance=~\"$instance\"}[$__range])";
    assert_eq!(broken(&[(EXPR, json!(whole))]), [""; 0]);
}

#[test]
fn target_job_rule() {
    check_expr("target-job-rule", "a{instance=~\"$instance\"}");
    check_expr(
        "target-job-rule",
        "a{job=\"$job\", instance=~\"$instance\"}",
    );
    check_expr(
        "target-job-rule",
        "a{job=~\"web\", instance=~\"$instance\"}",
    );
    check_expr(
        "target-job-rule",
        "a{job=~\"$job\", instance=~\"$instance\"} + b{instance=~\"$instance\"}",
    );
}

#[test]
fn target_instance_rule() {
    check_expr("target-instance-rule", "a{job=~\"$job\"}");
    check_expr(
        "target-instance-rule",
        "a{job=~\"$job\", instance!~\"$instance\"}",
    );
}

#[test]
fn target_counter_agg_rule() {
    let rule = "target-counter-agg-rule";
    check_expr(rule, "sum(a_total{job=~\"$job\", instance=~\"$instance\"})");
    check_expr(
        rule,
        "delta(a_total{job=~\"$job\", instance=~\"$instance\"}[$__rate_interval])",
    );
}

#[test]
fn uneditable_dashboard_rule() {
    check("uneditable-dashboard-rule", "/editable", json!(true));
}

#[test]
fn a_breach_names_rule_and_panel() {
    let mut dashboard = sound();
    *dashboard.pointer_mut(EXPR).unwrap() = json!("a{job=~\"$job\"}");
    let dashboard: Dashboard = serde_json::from_value(dashboard).unwrap();
    assert_eq!(
        breaches(&dashboard),
        [
            "target-instance-rule: panel \"Who ends connections?\", query A: a lacks instance=~\"$instance\""
        ]
    );
}
