//! How findings read.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::expect_file;

use super::{Detail, Query, page, title};
use crate::census::Census;
use crate::census::cgroup::Workload;
use crate::classify::Ending;
use crate::clock::Clock;
use crate::detect::{
    Age, Findings, HalfClosed, KilledInQueue, Matter, OrphanPressure, Owner, Race, Service, Storm,
    Undrained,
};
use crate::sink::board::Survey;

const NETNS: u32 = 4_026_531_833;

fn half_closed() -> HalfClosed {
    HalfClosed {
        netns: NETNS,
        owner: Owner::Held {
            comm: "evil\x1b[31m".to_owned(),
            workload: Workload::of("/system.slice/shop.service"),
        },
        service: Service::Remote("192.0.2.7:443".parse().unwrap()),
        holders: Vec::new(),
        count: 1,
        oldest: Age::at_least(Duration::from_mins(2)),
        unread: 0,
        sockets: Vec::new(),
    }
}

fn undrained() -> Undrained {
    Undrained {
        netns: NETNS,
        service: Service::Local(8080),
        count: 12,
        orphans: 12,
        window_shut: 3,
        oldest: Age::exactly(Duration::from_secs(75)),
        unacked: 6000,
        closed_by: vec![("nginx".to_owned(), 9), ("evil\x1b[31m".to_owned(), 2)],
        peers: vec![("192.0.2.7".parse().unwrap(), 12)],
        sockets: Vec::new(),
    }
}

/// Those whose title and object are not told elsewhere.
fn sample() -> Vec<Matter> {
    let nginx = || vec![("nginx".to_owned(), 100)];
    vec![
        Matter::FinWait2Stall(half_closed()),
        Matter::ClosingStall(undrained()),
        Matter::OrphanPressure(OrphanPressure {
            count: 70_000,
            most: 131_072,
            seen: 69_998,
            closed_by: nginx(),
            services: vec![(Service::Local(8080), 69_998)],
        }),
        Matter::KeepaliveRace(Race {
            netns: NETNS,
            port: 8080,
            count: 4,
            closed_by: nginx(),
        }),
        Matter::ResetStorm(Storm {
            netns: NETNS,
            service: Service::Local(8080),
            count: 120,
            ended: 150,
            endings: vec![(Ending::PeerReset, 110), (Ending::ResetLingerZero, 10)],
            by: nginx(),
        }),
        Matter::ListenerClosed(KilledInQueue {
            netns: NETNS,
            port: 8080,
            comm: Some("nginx".to_owned()),
            count: 7,
        }),
    ]
}

#[test]
fn findings_read_as_recorded() {
    let mut text = String::new();
    for matter in sample() {
        let id = matter.id();
        let object = serde_json::to_string_pretty(&Detail::new(&id, &matter)).unwrap();
        writeln!(text, "{}\n{object}", title(&matter)).unwrap();
        assert!(!title(&matter).contains('\x1b'));
    }
    expect_file!["../../../testdata/findings.txt"].assert_eq(&text);
}

/// Amounts of the findings on a page, and what it says of the rest.
fn asked(query: &str) -> (Vec<u64>, u64, u64) {
    let clock = Clock::new();
    let mut findings = Findings::default();
    findings.conclude(sample(), &Census::default(), clock.now());
    let raised = findings.all().iter();
    let survey = Survey {
        findings: raised.map(|(id, it)| (id.clone(), it.clone())).collect(),
        ..Survey::empty()
    };
    let text = page(&survey, Query::parse(query).unwrap(), &clock).unwrap();
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |it: &serde_json::Value, key: &str| it[key].as_u64().unwrap();
    let listed = page["findings"].as_array().unwrap();
    let amounts = listed.iter().map(|it| number(it, "count")).collect();
    (amounts, number(&page, "count"), number(&page, "matched"))
}

#[test]
fn a_page_has_the_largest_first_and_every_finding_is_on_some_page() {
    let all = vec![70_000, 120, 12, 7, 4, 1];
    assert_eq!(asked(""), (all, 6, 6));
    assert_eq!(asked("limit=2&offset=1"), (vec![120, 12], 6, 6));
    assert_eq!(asked("offset=5"), (vec![1], 6, 6));
    assert_eq!(asked("kind=reset_storm"), (vec![120], 6, 1));
    let wrong = Query::parse("kinds=reset_storm").unwrap_err();
    assert!(wrong.contains("kind, limit or offset"), "{wrong}");
}
