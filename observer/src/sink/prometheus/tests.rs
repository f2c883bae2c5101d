//! The page as a scraper sees it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use expect_test::expect_file;

use super::*;
use crate::sink::sample;

fn fresh() -> String {
    let metrics = Metrics::new().unwrap();
    metrics.cover(&sample::coverage());
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

#[test]
fn a_fresh_page_has_every_series() {
    let page = fresh();
    let mut shape = String::new();
    for line in page.lines() {
        // What the process collector measures differs from run to run.
        let line = match line.split_once(' ') {
            Some((name, _)) if name.starts_with("process_") => name,
            _ => line,
        };
        shape += line;
        shape.push('\n');
    }
    expect_file!["../../../testdata/metrics.txt"].assert_eq(&shape);
}

#[test]
fn the_series_stay_within_their_budget() {
    let count = fresh()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    assert!(count <= 300, "{count} series");
}

#[test]
fn a_verdict_counts_where_it_belongs() {
    let metrics = Metrics::new().unwrap();
    metrics.count_verdict(&sample::reset_with_unread_data());
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    for line in [
        r#"tcp_observer_connections_ended_total{ending="reset_unread_data",role="server"} 1"#,
        r#"tcp_observer_verdicts_total{confidence="exact"} 1"#,
        r#"tcp_observer_resets_sent_total{cause="unread_data"} 1"#,
        r#"tcp_observer_bytes_abandoned_total{queue="unread"} 512"#,
        r#"tcp_observer_phase_duration_seconds_count{phase="established"} 1"#,
        r#"tcp_observer_phase_duration_seconds_count{phase="close_wait"} 0"#,
        "tcp_observer_resets_received_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    let ended: Vec<_> = page
        .lines()
        .filter(|line| {
            line.starts_with("tcp_observer_connections_ended_total") && !line.ends_with(" 0")
        })
        .collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        // `eprintln!` would be captured.
        writeln!(std::io::stderr(), "SKIPPED: promtool is not installed").unwrap();
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(fresh().as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
