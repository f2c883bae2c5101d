//! What is raised, grows and is cleared.

use super::{Findings, Matter};
use crate::census::{Census, Destination, Ports, TwReuse};
use crate::detect::Headroom;
use crate::detect::sample::{NETNS, at};

fn matter(open: u32) -> Matter {
    Matter::PortExhaustion(Headroom {
        netns: NETNS,
        destination: Destination {
            source: "192.0.2.1".parse().unwrap(),
            peer: "192.0.2.7:443".parse().unwrap(),
        },
        all: 100,
        ports: Ports {
            open,
            ..Ports::default()
        },
        taken: open,
        exhausted_in: None,
        tw_reuse: TwReuse::No,
        failed: 0,
        clients: Vec::new(),
        holders: Vec::new(),
    })
}

#[test]
fn a_finding_is_raised_once_grows_and_is_cleared_when_it_is_gone() {
    let mut findings = Findings::default();
    let seen = Census::default();
    let changes = findings.conclude(vec![matter(91)], &seen, at(1000));
    let [id] = &changes.raised[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        id,
        &format!("port_exhaustion/{NETNS}/192.0.2.1/192.0.2.7:443")
    );
    assert_eq!(findings.all()[id].growth_per_minute(), None);
    let changes = findings.conclude(vec![matter(93)], &seen, at(1030));
    assert!(changes.raised.is_empty() && changes.cleared.is_empty());
    assert_eq!(findings.all()[id].growth_per_minute(), Some(4.0));
    assert_eq!(findings.all()[id].raised_at, at(1000));
    let changes = findings.conclude(Vec::new(), &seen, at(1060));
    assert_eq!(changes.cleared.len(), 1);
    assert!(!findings.is_raised(id));
}

#[test]
fn what_nobody_could_look_at_stands_as_it_was() {
    let mut findings = Findings::default();
    drop(findings.conclude(vec![matter(91)], &Census::default(), at(1000)));
    let mut blind = Census::default();
    blind.failed.insert(NETNS);
    let changes = findings.conclude(Vec::new(), &blind, at(1015));
    assert!(changes.cleared.is_empty());
    assert_eq!(findings.all().len(), 1);
}
