//! The page as a scraper sees it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use expect_test::expect_file;

use super::*;
use crate::audit::{Account, Counter, Judgement};
use crate::event::Ends;
use crate::netns::MOST;
use crate::sink::names::OTHER;
use crate::sink::sample;

fn fresh() -> String {
    let metrics = Metrics::new(Bounds::default()).unwrap();
    metrics.cover(&sample::coverage());
    metrics.audit().name(crate::netns::OWN);
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

/// The sum of a metric over all its series.
fn total(page: &str, name: &str) -> u64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit_once(' '))?
    });
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn fifty_thousand_owners_and_destinations_stay_within_the_bound_and_are_all_counted() {
    const ENDS: u32 = 50_000;
    const EACH: u32 = 9;
    let metrics = Metrics::new(Bounds::default()).unwrap();
    metrics.cover(&sample::coverage());
    metrics.audit().name(crate::netns::OWN);
    let mut verdict = sample::reset_with_unread_data();
    verdict.phases[Phase::CloseWait as usize] = Some(Duration::from_secs(1));
    let ends = verdict.ends.unwrap();
    let mut tally = metrics.tally();
    for number in 0..ENDS {
        let port = u16::try_from(number).unwrap();
        verdict.ends = Some(Ends {
            local: SocketAddr::new(ends.local.ip(), port),
            peer: SocketAddr::new(std::net::Ipv4Addr::from(number).into(), port),
        });
        let task = verdict.closed_by.as_mut().unwrap();
        task.comm = format!("owner-{number}").into();
        for _ in 0..EACH {
            tally.count_verdict(&verdict);
        }
    }
    tally.flush();
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    let count = series(&metrics);
    assert!(count <= Bounds::default().series(), "{count} series");
    assert_eq!(total(&page, "tcp_observer_series"), count as u64);
    for name in [
        "tcp_observer_connections_ended_total",
        "tcp_observer_initiated_total",
        "tcp_observer_owner_connections_ended_total",
        "tcp_observer_port_connections_ended_total",
        "tcp_observer_close_wait_duration_seconds_count",
    ] {
        assert_eq!(total(&page, name), u64::from(ENDS * EACH), "{name}");
    }
}

#[test]
fn a_verdict_counts_where_it_belongs() {
    let metrics = Metrics::new(Bounds::default()).unwrap();
    let mut tally = metrics.tally();
    tally.count_verdict(&sample::reset_with_unread_data());
    tally.flush();
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    for line in [
        r#"tcp_observer_connections_ended_total{ending="reset_unread_data",role="server"} 1"#,
        r#"tcp_observer_initiated_total{initiator="local",role="server"} 1"#,
        r#"tcp_observer_owner_connections_ended_total{comm="other",group="reset_sent"} 1"#,
        r#"tcp_observer_port_connections_ended_total{group="reset_sent",port="other"} 1"#,
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
fn what_the_audit_says_is_counted_under_the_name_of_the_namespace() {
    let metrics = Metrics::new(Bounds::default()).unwrap();
    let account = sample::account();
    metrics.audit().name("/run/netns/blue");
    let judgement = Judgement {
        lines: account.lines.clone(),
        ..Judgement::default()
    };
    for _ in 0..2 {
        metrics.audit().count(&judgement);
    }
    metrics.audit().publish(vec![Account {
        name: "/run/netns/blue".to_owned(),
        problem: Some("gone".to_owned()),
        ..account
    }]);
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    for (name, value) in [
        ("audit_kernel_total", 6),
        ("audit_observed_total", 2),
        ("audit_unexplained", 0),
    ] {
        let line = format!(
            "tcp_observer_{name}{{counter=\"AttemptFails\",netns=\"/run/netns/blue\"}} {value}"
        );
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    let gone = "tcp_observer_audit_up{netns=\"/run/netns/blue\"} 0";
    assert!(page.lines().any(|found| found == gone), "{page}");
}

/// The value of the series of unexplained EstabResets, if there is one.
fn unexplained(metrics: &Metrics, netns: &str) -> Option<i64> {
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    let name =
        format!("tcp_observer_audit_unexplained{{counter=\"EstabResets\",netns=\"{netns}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name))?;
    Some(value.parse().unwrap())
}

/// The sample with this much unexplained.
fn account(name: &str, unexplained: i64) -> Account {
    let mut account = sample::account();
    name.clone_into(&mut account.name);
    for line in &mut account.lines {
        line.since_start.unexplained = unexplained;
    }
    account
}

#[test]
fn what_is_unexplained_ends_where_nothing_is_judged_and_comes_back() {
    let (metrics, blue) = (Metrics::new(Bounds::default()).unwrap(), "/run/netns/blue");
    metrics.audit().name(blue);
    let lost = Account {
        problem: Some("gone".to_owned()),
        ..account(blue, 3)
    };
    let replaced = Account {
        lines: Vec::new(),
        ..account(blue, 3)
    };
    let standing = [account(blue, 3), lost, account(blue, -3), replaced];
    for (account, expected) in standing.into_iter().zip([3, 0, -3, 0]) {
        metrics.audit().publish(vec![account]);
        assert_eq!(unexplained(&metrics, blue), Some(expected));
    }
}

#[test]
fn what_the_agent_is_blind_to_is_not_said_to_be_explained() {
    let (metrics, blue) = (Metrics::new(Bounds::default()).unwrap(), "/run/netns/blue");
    metrics.audit().name(blue);
    metrics
        .audit()
        .leave_unexplained(vec![Counter::EstabResets]);
    metrics.audit().publish(vec![account(blue, 0)]);
    assert_eq!(unexplained(&metrics, blue), None);
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    let others = page
        .lines()
        .filter(|line| line.starts_with("tcp_observer_audit_unexplained"));
    assert_eq!(others.count(), 10);
}

fn series(metrics: &Metrics) -> usize {
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    page.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn as_many_namespaces_as_can_be_named_stay_within_the_budget() {
    let metrics = Metrics::new(Bounds::default()).unwrap();
    metrics.cover(&sample::coverage());
    let own = std::iter::once(crate::netns::OWN.to_owned());
    let names = own.chain((0..MOST).map(|number| format!("/run/netns/{number}")));
    let names: Vec<String> = names.collect();
    for name in &names {
        metrics.audit().name(name);
    }
    let fresh = series(&metrics);
    assert!(fresh <= Bounds::default().series(), "{fresh} series");
    let accounts = names.iter().map(|name| account(name, -2));
    for (index, account) in accounts.clone().enumerate() {
        let lines = account.lines;
        metrics.audit().count(&Judgement {
            index,
            lines,
            ..Judgement::default()
        });
    }
    metrics.audit().publish(accounts.collect());
    assert_eq!(series(&metrics), fresh, "none comes later");
    let last_named = format!("/run/netns/{}", MOST_NAMED - 1);
    let rest = MOST - MOST_NAMED;
    assert_eq!(unexplained(&metrics, &last_named), Some(-2));
    assert_eq!(
        unexplained(&metrics, OTHER),
        Some(2 * i64::try_from(rest).unwrap())
    );
    let page = String::from_utf8(metrics.encode().unwrap()).unwrap();
    let of_rest = format!(
        "tcp_observer_audit_kernel_total{{counter=\"AttemptFails\",netns=\"other\"}} {}",
        3 * rest
    );
    for line in [&of_rest, "tcp_observer_audit_up{netns=\"other\"} 1"] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
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
