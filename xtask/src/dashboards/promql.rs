//! Expressions of PromQL as dashboards hold them.
//! Takes text with Grafana's variables, gives the parsed expression and the series that it
//! selects.

use std::time::Duration;

use promql_parser::parser::{self, Expr, VectorSelector};

/// What `$__rate_interval` becomes before parsing: no duration that anybody writes.
pub(super) const RATE_INTERVAL: Duration = Duration::from_secs(11_277_964);
/// Grafana's durations that are no `$__rate_interval`.
const DURATIONS: [&str; 2] = ["__interval", "__range"];
/// Those that Grafana gives as numbers.
const NUMBERS: [&str; 3] = ["__interval_ms", "__range_ms", "__range_s"];

/// A selection of series within an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<'a> {
    pub(super) selector: &'a VectorSelector,
    /// How far back, where it is a range.
    pub(super) range: Option<Duration>,
    /// The function that it is an argument of.
    pub(super) within: Option<&'a str>,
}

/// Parses an expression. Variables that stand for text stay: they are within quotes.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let rate = format!("{}s", RATE_INTERVAL.as_secs());
    let mut plain = replaced(text, "__rate_interval", &rate);
    for name in NUMBERS {
        plain = replaced(&plain, name, "11277965");
    }
    for name in DURATIONS {
        plain = replaced(&plain, name, "11277965s");
    }
    parser::parse(&plain).map_err(|error| error.trim().to_owned())
}

fn replaced(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("${{{name}}}"), value)
        .replace(&format!("${name}"), value)
}

/// Every selection of series in an expression.
pub(super) fn uses(expr: &Expr) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    collect(expr, None, &mut found);
    found
}

fn collect<'a>(expr: &'a Expr, within: Option<&'a str>, found: &mut Vec<Use<'a>>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(Use {
            selector,
            range: None,
            within,
        }),
        Expr::MatrixSelector(matrix) => found.push(Use {
            selector: &matrix.vs,
            range: Some(matrix.range),
            within,
        }),
        Expr::Call(call) => {
            for argument in &call.args.args {
                collect(argument, Some(call.func.name), found);
            }
        }
        Expr::Aggregate(aggregate) => {
            collect(&aggregate.expr, None, found);
            if let Some(parameter) = &aggregate.param {
                collect(parameter, None, found);
            }
        }
        Expr::Binary(binary) => {
            collect(&binary.lhs, None, found);
            collect(&binary.rhs, None, found);
        }
        Expr::Unary(unary) => collect(&unary.expr, None, found),
        Expr::Paren(paren) => collect(&paren.expr, within, found),
        Expr::Subquery(subquery) => collect(&subquery.expr, None, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, bool, Option<String>)> {
        let expr = parse(text).unwrap();
        uses(&expr)
            .iter()
            .map(|it| {
                let name = it.selector.name.clone().unwrap_or_default();
                let is_rate_interval = it.range == Some(RATE_INTERVAL);
                (name, is_rate_interval, it.within.map(str::to_owned))
            })
            .collect()
    }

    #[test]
    fn selections_are_found_with_the_function_around_them() {
        let rate = Some("rate".to_owned());
        assert_eq!(
            found("sum by (a) (rate(b{c=~\"$c\"}[${__rate_interval}])) / on (a) max(d)"),
            [
                ("b".to_owned(), true, rate.clone()),
                ("d".to_owned(), false, None)
            ]
        );
        assert_eq!(
            found("topk(3, rate(b[$__range])) / ${__range_s} or vector(0)"),
            [("b".to_owned(), false, rate)]
        );
    }

    #[test]
    fn what_is_no_promql_is_told() {
        parse("sum(rate(a[5m])").unwrap_err();
        parse("a{b=~$c}").unwrap_err();
    }
}
