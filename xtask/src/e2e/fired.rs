//! Which alerts have fired, and whether they should.
//!
//! Takes the Prometheus that evaluates them; gives their names, or what is wrong with one.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};

use super::answers::Alert;
use super::expected::{NOT_MADE, NOT_WHOLE, RAISED};
use super::prometheus::Prometheus;

/// What leaves a trace in a text whose template fails.
const BROKEN: [&str; 3] = ["<error", "<no value>", "%!"];

/// Whether a census was whole, where there was one.
const WHOLE: &str = "tcp_observer_census_whole and tcp_observer_census_timestamp_seconds > 0";

/// The names of the alerts that have fired since the start; fails if a text of one that does is
/// no text.
pub(super) fn fired(prometheus: &Prometheus) -> Result<BTreeSet<String>> {
    for alert in prometheus.alerts()?.iter().filter(|it| it.fires()) {
        for (key, text) in &alert.annotations {
            let broken = BROKEN.iter().any(|it| text.contains(it));
            ensure!(!broken, "{key} of {} is: {text}", alert.name());
        }
    }
    let expr = "max by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
    let samples = prometheus.query(expr)?;
    let names = samples.labels("alertname").into_iter();
    Ok(names.map(str::to_owned).collect())
}

/// Nothing has fired but what must. The alert of a census that is not whole goes by what
/// Prometheus has seen of it.
pub(super) fn quiet(prometheus: &Prometheus) -> Result<String> {
    let mut others = fired(prometheus)?;
    others.retain(|name| !RAISED.iter().any(|(known, _)| known == name));
    let seen = Seen::ask(prometheus)?;
    let told = seen.allows(others.remove(NOT_WHOLE))?;
    none_of(&others, prometheus)?;
    let quiet = NOT_MADE.len() - usize::from(told);
    let told = if told { "has" } else { "has not" };
    Ok(format!(
        "{quiet} alerts have not fired that nothing makes; {NOT_WHOLE} {told}, and the census was \
         {}",
        seen.text()
    ))
}

/// What the censuses of the whole run have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Everything,
    /// Some were whole, and some were not.
    Mixed,
    /// This machine hides something from root, as a sandbox does.
    NeverAll,
}

impl Seen {
    /// Before the first census nothing has been seen.
    fn ask(prometheus: &Prometheus) -> Result<Self> {
        let ask = |function: &str| {
            let expr = format!("{function}(({WHOLE})[1h:1s])");
            let number = prometheus.query(&expr)?.number();
            number.with_context(|| format!("there is no {expr}"))
        };
        Ok(Self::of(ask("min_over_time")?, ask("max_over_time")?))
    }

    fn of(least: f64, most: f64) -> Self {
        match (least > 0.5, most > 0.5) {
            (true, _) => Self::Everything,
            (false, true) => Self::Mixed,
            (false, false) => Self::NeverAll,
        }
    }

    /// Whether the alert may be so; gives it back.
    fn allows(self, has_fired: bool) -> Result<bool> {
        match self {
            Self::Everything => ensure!(
                !has_fired,
                "{NOT_WHOLE} has fired, and each census was whole"
            ),
            Self::NeverAll => ensure!(
                has_fired,
                "{NOT_WHOLE} does not fire, and no census was whole"
            ),
            Self::Mixed => {}
        }
        Ok(has_fired)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Everything => "whole each time",
            Self::Mixed => "whole at times",
            Self::NeverAll => "never whole: this machine hides something",
        }
    }
}

fn none_of(others: &BTreeSet<String>, prometheus: &Prometheus) -> Result<()> {
    let alerts = prometheus.alerts()?;
    let about = |name: &String| {
        let why = NOT_MADE.iter().find(|(known, _)| known == name);
        let why = why.map_or("nothing here makes it", |(_, why)| *why);
        let alert = alerts.iter().find(|it| it.name() == name);
        let says = alert.and_then(description).unwrap_or("it is over");
        format!("{name} has fired, though {why}: {says}")
    };
    let lines: Vec<String> = others.iter().map(about).collect();
    if !lines.is_empty() {
        bail!("{}", lines.join("\n  "));
    }
    Ok(())
}

fn description(alert: &Alert) -> Option<&str> {
    alert.annotations.get("description").map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_of_a_census_goes_by_what_the_censuses_saw() {
        let may = |least, most, has_fired| Seen::of(least, most).allows(has_fired).is_ok();
        assert!(may(1.0, 1.0, false) && !may(1.0, 1.0, true));
        assert!(!may(0.0, 0.0, false) && may(0.0, 0.0, true));
        assert!(may(0.0, 1.0, false) && may(0.0, 1.0, true));
    }
}
