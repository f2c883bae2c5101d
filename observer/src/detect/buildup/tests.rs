//! TIME_WAIT that comes near its bound, and goes away.

use std::time::Duration;

use super::{Buildup, BuildupWatch, Maker};
use crate::census::{Census, Minisock, Seen, Sysctls};
use crate::classify::{Role, TimeWait, Verdict};
use crate::detect::sample::{self, NETNS, at};
use crate::detect::{Findings, Lately, Matter, Recent, Service};
use crate::event::{Ends, State, Task};
use crate::sink;

const LIMIT: u64 = 100;

fn ends(local: &str, peer: &str) -> Ends {
    Ends {
        local: local.parse().unwrap(),
        peer: peer.parse().unwrap(),
    }
}

fn minisock(state: State, ends: Ends) -> Seen {
    Seen {
        ends,
        minisock: Some(Minisock {
            remaining: Duration::from_secs(30),
        }),
        ..sample::seen(state, 0)
    }
}

/// A client of one of twenty services.
fn client(number: u16) -> Ends {
    let peer = format!("192.0.2.7:{}", 1 + number % 20);
    ends(&format!("192.0.2.1:{}", 40_000 + number), &peer)
}

fn server(number: u16) -> Ends {
    ends("192.0.2.1:80", &format!("192.0.2.9:{}", 40_000 + number))
}

fn in_time_wait(count: u16, of: fn(u16) -> Ends) -> Vec<Seen> {
    let socket = |number| minisock(State::TimeWait, of(number));
    (0..count).map(socket).collect()
}

fn census(sockets: &[Seen]) -> Census {
    let sysctls = Sysctls {
        max_tw_buckets: LIMIT,
        ..Sysctls::default()
    };
    sample::census(at(100), sockets, &sysctls)
}

/// A connection end that this process closed first.
fn closed_first(comm: &str, role: Role, ends: Ends) -> Verdict {
    Verdict {
        role,
        time_wait: TimeWait::Local,
        netns: NETNS,
        ends: Some(ends),
        closed_by: Some(Task {
            pid: 1,
            comm: comm.into(),
            exiting: false,
        }),
        ..sink::sample::unknown()
    }
}

/// What was seen in one minute.
fn lately(verdicts: &[Verdict]) -> Lately {
    let mut recent = Recent::default();
    for verdict in verdicts {
        recent.note(verdict);
    }
    let mut lately = Lately::new(at(40));
    lately.add(at(100), recent);
    lately
}

fn look(findings: &mut Findings, census: &Census, lately: &Lately) -> Vec<Buildup> {
    let full = BuildupWatch::new(Some(256)).look(census, lately, findings);
    let matters = full.iter().cloned().map(Matter::TimeWaitBuildup);
    drop(findings.conclude(matters.collect(), census, at(100)));
    full
}

#[test]
fn it_is_told_at_four_fifths_and_until_three_fifths() {
    let mut findings = Findings::default();
    let mut told = |count| {
        let census = census(&in_time_wait(count, server));
        let full = look(&mut findings, &census, &lately(&[]));
        full.first().map(|it| it.minisocks)
    };
    assert_eq!([told(79), told(80), told(60)], [None, Some(80), Some(60)]);
    assert_eq!([told(59), told(60)], [None, None]);
}

#[test]
fn who_closed_first_is_named_with_service_rate_and_memory() {
    let by = |comm, count| vec![closed_first(comm, Role::Server, server(0)); count];
    let lately = lately(&[by("nginx", 90), by("php", 10)].concat());
    let census = census(&in_time_wait(85, server));
    let full = look(&mut Findings::default(), &census, &lately);
    let [buildup] = &full[..] else {
        panic!("{full:?}")
    };
    assert_eq!((buildup.of_clients, buildup.of_servers), (0, 85));
    assert_eq!(buildup.per_minute, Some(100.0));
    assert_eq!(buildup.memory_bytes, Some(85 * 256));
    let maker = Maker {
        service: Service::Local(80),
        time_wait: 85,
        per_minute: Some(100.0),
        closed_by: vec![("nginx".into(), 90), ("php".into(), 10)],
    };
    assert_eq!(buildup.makers, [maker]);
    assert!(buildup.remedy().contains("a server on this host"));
}

#[test]
fn services_beyond_the_first_are_told_as_one() {
    let end = |number| closed_first("crawler", Role::Client, client(number));
    let ended: Vec<Verdict> = (0..80).map(end).collect();
    let census = census(&in_time_wait(80, client));
    let full = look(&mut Findings::default(), &census, &lately(&ended));
    let makers = &full[0].makers;
    assert_eq!(makers.len(), 11);
    assert_eq!(makers[0].service, Service::ManyRemotes);
    assert_eq!(
        (makers[0].time_wait, makers[0].per_minute),
        (40, Some(40.0))
    );
    let named = |it: &Maker| it.closed_by.iter().map(|(name, _)| &**name).eq(["crawler"]);
    assert!(makers.iter().all(named));
    assert!(full[0].remedy().contains("clients on this host"));
}

#[test]
fn what_was_left_out_is_told_for_five_minutes_however_few_there_are() {
    let mut watch = BuildupWatch::new(None);
    let mut told = |seconds, overflows| {
        let mut census = sample::census(at(seconds), &[], &sample::SYSCTLS);
        for looked in census.namespaces.values_mut() {
            looked.overflows = Some(overflows);
        }
        let full = watch.look(&census, &lately(&[]), &Findings::default());
        full.first().map(|it| it.overflows)
    };
    assert_eq!(told(100, 7), None, "they came before the agent");
    assert_eq!([told(110, 9), told(120, 9)], [Some(2), Some(2)]);
    assert_eq!([told(130, 10), told(425, 10)], [Some(3), Some(1)]);
    assert_eq!(told(430, 10), None);
    assert_eq!(told(440, 4), None, "it is another namespace");
    assert_eq!(watch.overflows(), 3);
}

#[test]
fn fin_wait2_counts_against_the_bound_and_has_another_remedy() {
    let census = census(&[minisock(State::FinWait2, server(0)); 90]);
    let full = look(&mut Findings::default(), &census, &lately(&[]));
    assert_eq!((full[0].minisocks, full[0].fin_wait2()), (90, 90));
    assert!(full[0].remedy().contains("lets these go sooner"));
}

#[test]
fn a_bound_that_is_far_away_is_not_told() {
    let census = sample::census(at(100), &in_time_wait(5000, server), &sample::SYSCTLS);
    let mut watch = BuildupWatch::new(Some(256));
    let full = watch.look(&census, &lately(&[]), &Findings::default());
    assert_eq!(full, []);
    // Whoever asks is answered.
    let (all, count) = watch.most();
    assert_eq!((all.len(), count), (1, 1));
    assert_eq!((all[0].minisocks, all[0].makers[0].time_wait), (5000, 5000));
}
