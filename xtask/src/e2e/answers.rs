//! What Prometheus answers, as far as it is looked at.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The result of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Samples {
    /// One sample a series.
    Vector(Vec<Series>),
    /// Many.
    Matrix(Vec<Series>),
    /// One number.
    Scalar(Sample),
    /// A text.
    String(Sample),
}

type Sample = (f64, String);

/// One series.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    /// Its labels.
    pub(super) metric: BTreeMap<String, String>,
    value: Option<Sample>,
    #[serde(default)]
    values: Vec<Sample>,
}

impl Samples {
    /// Whether a panel would draw anything: there is a number.
    pub(super) fn shows_something(&self) -> bool {
        let is_number = |(_, value): &Sample| value != "NaN";
        match self {
            Self::Vector(series) | Self::Matrix(series) => series
                .iter()
                .flat_map(|it| it.value.iter().chain(&it.values))
                .any(is_number),
            Self::Scalar(sample) | Self::String(sample) => is_number(sample),
        }
    }

    /// The number of the first series.
    pub(super) fn number(&self) -> Option<f64> {
        let sample = match self {
            Self::Vector(series) | Self::Matrix(series) => {
                let first = series.first()?;
                first.value.as_ref().or_else(|| first.values.first())
            }
            Self::Scalar(sample) | Self::String(sample) => Some(sample),
        };
        sample?.1.parse().ok()
    }

    /// The values of a label among the series.
    pub(super) fn labels(&self, name: &str) -> Vec<&str> {
        let (Self::Vector(series) | Self::Matrix(series)) = self else {
            return Vec::new();
        };
        let of = |it| Series::label(it, name);
        series.iter().filter_map(of).collect()
    }
}

impl Series {
    fn label<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.metric.get(name).map(String::as_str)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Alerts {
    pub(super) alerts: Vec<Alert>,
}

/// An alert that is pending or fires.
#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    /// With its name, `alertname`.
    pub(super) labels: BTreeMap<String, String>,
    /// With their templates filled in.
    pub(super) annotations: BTreeMap<String, String>,
    state: State,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Pending,
    Firing,
}

impl Alert {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// Whether it has held for long enough.
    pub(super) fn fires(&self) -> bool {
        self.state == State::Firing
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) rules: Vec<Rule>,
}

/// A rule and whether it could be evaluated.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    /// Of the alert, or of the series that it records.
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Those that it adds.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    pub(super) health: Outcome,
    #[serde(rename = "lastError")]
    pub(super) error: Option<String>,
}

impl Rule {
    /// What selects the series that it records, where another records some of the same name.
    pub(super) fn selector(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<String> = labels.map(|(name, it)| format!("{name}={it:?}")).collect();
        format!("{}{{{}}}", self.name, labels.join(","))
    }
}

/// What a rule makes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// An alert.
    Alerting,
    /// Series.
    Recording,
}

/// How the last evaluation went.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// Well.
    Ok,
    /// Badly.
    Err,
    /// There was none.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::{Rule, Samples};

    fn shows(text: &str) -> bool {
        let samples: Samples = serde_json::from_str(text).unwrap();
        samples.shows_something()
    }

    #[test]
    fn rules_of_one_name_are_told_apart_by_their_labels() {
        let rule = |labels: &str| {
            let text = format!(r#"{{"name":"a:b:c","type":"recording","health":"ok"{labels}}}"#);
            let rule: Rule = serde_json::from_str(&text).unwrap();
            rule.selector()
        };
        let labelled = rule(r#","labels":{"quantile":"0.99","zone":"x"}"#);
        assert_eq!(labelled, r#"a:b:c{quantile="0.99",zone="x"}"#);
        assert_eq!(rule(""), "a:b:c{}");
    }

    #[test]
    fn the_number_of_a_sample_is_read() {
        let number = |text: &str| {
            let samples: Samples = serde_json::from_str(text).unwrap();
            samples.number()
        };
        let vector = r#"{"resultType":"vector","result":[{"metric":{},"value":[1.5,"0.5"]}]}"#;
        assert_eq!(number(vector), Some(0.5));
        assert_eq!(number(r#"{"resultType":"vector","result":[]}"#), None);
        assert_eq!(
            number(r#"{"resultType":"scalar","result":[1,"3"]}"#),
            Some(3.0)
        );
    }

    #[test]
    fn only_numbers_are_something_to_show() {
        let vector = |value: &str| {
            format!(
                r#"{{"resultType":"vector","result":[{{"metric":{{}},"value":[1.5,"{value}"]}}]}}"#
            )
        };
        assert!(shows(&vector("0")) && !shows(&vector("NaN")));
        assert!(!shows(r#"{"resultType":"vector","result":[]}"#));
        let matrix =
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"],[2,"3"]]}]}"#;
        assert!(shows(matrix));
        assert!(shows(r#"{"resultType":"scalar","result":[1,"3"]}"#));
    }
}
