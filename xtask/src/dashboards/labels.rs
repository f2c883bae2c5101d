//! The labels that the result of an expression has.
//! Takes an expression and the series that there are, gives its labels, and complaints about
//! series that do not exist and labels that they do not have. Where it cannot tell it takes
//! more labels rather than fewer, so that a complaint is always true.

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, StringLiteral, VectorMatchCardinality,
    VectorSelector,
};

use super::metrics::{Labels, Metrics};

/// Aggregations that choose series and keep them whole.
const CHOOSING: [&str; 4] = ["topk", "bottomk", "limitk", "limit_ratio"];

/// How a complaint about a name begins.
const NO_SERIES: &str = "there is no series";

/// The labels of the result, and what is wrong with the expression.
pub(super) fn of(expr: &Expr, metrics: &Metrics) -> (Labels, Vec<String>) {
    let mut look = Look {
        metrics,
        complaints: Vec::new(),
    };
    let labels = look.at(expr);
    // What is not there has no labels either; to say so of each would hide what is wrong.
    if look.complaints.iter().any(|it| it.starts_with(NO_SERIES)) {
        look.complaints.retain(|it| it.starts_with(NO_SERIES));
    }
    (labels, look.complaints)
}

struct Look<'a> {
    metrics: &'a Metrics,
    complaints: Vec<String>,
}

impl Look<'_> {
    fn at(&mut self, expr: &Expr) -> Labels {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Subquery(subquery) => self.at(&subquery.expr),
            Expr::Paren(paren) => self.at(&paren.expr),
            Expr::Unary(unary) => self.at(&unary.expr),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Call(call) => self.call(call),
            Expr::Binary(binary) => self.binary(binary),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Labels::new(),
        }
    }

    fn selector(&mut self, selector: &VectorSelector) -> Labels {
        let name = selector.name.as_deref().unwrap_or_default();
        let Some(labels) = self.metrics.labels(name) else {
            self.complaints.push(format!("{NO_SERIES} {name:?}"));
            return Labels::new();
        };
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                let what = format!("{name} has no label {}", matcher.name);
                self.complaints.push(what);
            }
        }
        labels.clone()
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Labels {
        if let Some(parameter) = &aggregate.param {
            self.at(parameter);
        }
        let inner = self.at(&aggregate.expr);
        let chosen: Labels = match &aggregate.modifier {
            None => Labels::new(),
            Some(LabelModifier::Include(by)) => by.labels.iter().cloned().collect(),
            Some(LabelModifier::Exclude(without)) => {
                self.demand(&inner, &without.labels);
                let dropped: Labels = without.labels.iter().cloned().collect();
                inner.difference(&dropped).cloned().collect()
            }
        };
        let wanted: Vec<String> = chosen.iter().cloned().collect();
        self.demand(&inner, &wanted);
        if CHOOSING.contains(&aggregate.op.to_string().as_str()) {
            return inner;
        }
        chosen
    }

    fn call(&mut self, call: &Call) -> Labels {
        let mut labels = Labels::new();
        for argument in &call.args.args {
            labels.extend(self.at(argument));
        }
        match call.func.name {
            "histogram_quantile" if !labels.remove("le") => {
                let what = "histogram_quantile is given no buckets (le)";
                self.complaints.push(what.to_owned());
            }
            "label_replace" | "label_join" => {
                if let Some(Expr::StringLiteral(StringLiteral { val })) =
                    call.args.args.get(1).map(AsRef::as_ref)
                {
                    labels.insert(val.clone());
                }
            }
            _ => {}
        }
        labels
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Labels {
        let left = self.at(&binary.lhs);
        let right = self.at(&binary.rhs);
        let is_vector = |expr: &Expr| expr.value_type() == ValueType::Vector;
        let modifier = binary.modifier.as_ref();
        let matching = modifier.and_then(|it| it.matching.as_ref());
        if let Some(matching) = matching {
            self.demand(&left, &matching.labels().labels);
            self.demand(&right, &matching.labels().labels);
        }
        let is_one_to_one = modifier.is_none_or(|it| it.card == VectorMatchCardinality::OneToOne);
        if !is_one_to_one || !is_vector(&binary.lhs) || !is_vector(&binary.rhs) {
            return left.union(&right).cloned().collect();
        }
        match matching {
            Some(LabelModifier::Include(on)) => on.labels.iter().cloned().collect(),
            Some(LabelModifier::Exclude(_)) => left.intersection(&right).cloned().collect(),
            None => {
                if left != right {
                    self.complaints.push(format!(
                        "`{}` never matches: left it has {left:?}, right {right:?}",
                        binary.op
                    ));
                }
                left
            }
        }
    }

    fn demand(&mut self, there: &Labels, wanted: &[String]) {
        for label in wanted.iter().filter(|label| !there.contains(*label)) {
            let what = format!("what is grouped or matched has no label {label}");
            self.complaints.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::metrics::tests::few;
    use crate::dashboards::promql;

    fn check(text: &str, labels: &[&str], complaints: &[&str]) {
        let expr = promql::parse(text).unwrap();
        let (found, said) = of(&expr, &few());
        assert_eq!(found.iter().collect::<Vec<_>>(), labels, "{text}");
        assert_eq!(said, complaints, "{text}");
    }

    #[test]
    fn a_sum_has_the_labels_that_it_is_by() {
        check("sum by (ending) (rate(ended_total[5m]))", &["ending"], &[]);
        check(
            "sum without (role, instance) (rate(ended_total[5m]))",
            &["ending", "job"],
            &[],
        );
        check("max(oldest_seconds)", &[], &[]);
        check("topk(3, oldest_seconds)", &["instance", "job"], &[]);
    }

    #[test]
    fn what_does_not_exist_is_told() {
        check(
            "sum by (ending) (began_total)",
            &["ending"],
            &["there is no series \"began_total\""],
        );
        check(
            "oldest_seconds{comm=\"a\"}",
            &["instance", "job"],
            &["oldest_seconds has no label comm"],
        );
        check(
            "sum by (port) (rate(ended_total[5m]))",
            &["port"],
            &["what is grouped or matched has no label port"],
        );
    }

    #[test]
    fn a_quantile_needs_buckets() {
        check(
            "histogram_quantile(0.9, sum by (port, le) (rate(wait_seconds_bucket[5m])))",
            &["port"],
            &[],
        );
        check(
            "histogram_quantile(0.9, sum by (port) (rate(wait_seconds_bucket[5m])))",
            &["port"],
            &["histogram_quantile is given no buckets (le)"],
        );
    }

    #[test]
    fn two_sides_that_never_match_are_told() {
        check(
            "sum by (ending) (ended_total) / sum by (ending) (ended_total)",
            &["ending"],
            &[],
        );
        check(
            "sum by (ending) (ended_total) / sum(ended_total)",
            &["ending"],
            &["`/` never matches: left it has {\"ending\"}, right {}"],
        );
        check(
            "ended_total / on (instance) group_left () oldest_seconds",
            &["ending", "instance", "job", "role"],
            &[],
        );
        check("sum(ended_total) or vector(0)", &[], &[]);
        check("time() - max(oldest_seconds)", &[], &[]);
    }
}
