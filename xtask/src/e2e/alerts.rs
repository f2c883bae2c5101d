//! The alerts that ship, for a Prometheus that has little time.
//!
//! Takes the text of `dashboards/alerts.yaml`; gives the same with shorter waits. Pure.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// The file with seconds for minutes in each `for`, and how many there are.
pub(super) fn shortened(text: &str) -> Result<(String, usize)> {
    let mut count = 0;
    let mut short = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some((indent, wait)) = line.split_once("for: ").filter(|it| it.0.trim().is_empty()) {
            let minutes = wait.strip_suffix('m');
            let minutes = minutes.with_context(|| format!("`for: {wait}` is not in minutes"))?;
            writeln!(short, "{indent}for: {minutes}s")?;
            count += 1;
        } else {
            writeln!(short, "{line}")?;
        }
    }
    Ok((short, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::shipped::{SHIPPED, read};

    #[test]
    fn every_alert_that_ships_waits_and_all_waits_are_shortened() {
        let alerts = read(SHIPPED).unwrap();
        let (short, count) = shortened(SHIPPED).unwrap();
        assert_eq!(count, alerts.len());
        let longer = read(&short).unwrap();
        assert!(longer.iter().all(|alert| alert.wait.ends_with('s')));
        assert_eq!(short.replace("for: 15s", "for: 15m").len(), SHIPPED.len());
    }

    #[test]
    fn only_the_waits_are_changed() {
        let text = "- alert: A\n  expr: rate(x[5m]) > 0\n  for: 10m\n  # lasts for: 3m\n";
        let expected = "- alert: A\n  expr: rate(x[5m]) > 0\n  for: 10s\n  # lasts for: 3m\n";
        assert_eq!(shortened(text).unwrap(), (expected.to_owned(), 1));
        let error = shortened("  for: 1h\n").unwrap_err();
        assert!(error.to_string().contains("not in minutes"));
    }
}
