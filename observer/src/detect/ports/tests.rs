//! Ports that get fewer, census by census.

use std::time::Duration;

use super::{Headroom, PortWatch};
use crate::census::{Census, Minisock, Seen, Sysctls, TwReuse};
use crate::classify::{Ending, Role, TimeWait, Verdict};
use crate::detect::sample::{self, NETNS, at};
use crate::detect::{Findings, Lately, Matter, Recent};
use crate::event::{Ends, State, Task, Timestamp};
use crate::sink;

/// A client's socket at this port; in TIME_WAIT for so long.
fn socket(port: u16, time_wait: Option<u64>) -> Seen {
    let minisock = time_wait.map(|age| Minisock {
        remaining: Duration::from_secs(60 - age),
    });
    let state = if minisock.is_some() {
        State::TimeWait
    } else {
        State::Established
    };
    Seen {
        ends: Ends {
            local: format!("192.0.2.1:{port}").parse().unwrap(),
            peer: "192.0.2.7:443".parse().unwrap(),
        },
        minisock,
        ..sample::seen(state, u64::from(port))
    }
}

/// A census with so many open and so many in TIME_WAIT of 100 ports.
fn census(now: Timestamp, open: u16, time_wait: u16, tw_reuse: TwReuse) -> Census {
    let sysctls = Sysctls {
        ephemeral: 40_000..=40_099,
        tw_reuse,
        ..Sysctls::default()
    };
    let socket = |index: u16| {
        let time_wait = (index >= open).then_some(u64::from(index) % 60);
        socket(40_000 + index, time_wait)
    };
    let sockets: Vec<Seen> = (0..open + time_wait).map(socket).collect();
    sample::census(now, &sockets, &sysctls)
}

fn look(watch: &mut PortWatch, census: &Census, findings: &mut Findings) -> Vec<Headroom> {
    let short = watch.look(census, &Lately::new(at(0)), findings);
    let matters = short.iter().cloned().map(Matter::PortExhaustion);
    drop(findings.conclude(matters.collect(), census, at(0)));
    short
}

#[test]
fn few_ports_left_are_told_until_there_are_twice_as_many() {
    let (mut watch, mut findings) = (PortWatch::default(), Findings::default());
    let mut short = |used, seconds| {
        let census = census(at(seconds), used, 0, TwReuse::No);
        let found = look(&mut watch, &census, &mut findings);
        found.first().map(Headroom::left)
    };
    assert_eq!(short(85, 0), None);
    assert_eq!(short(91, 1000), Some(9));
    assert_eq!(short(82, 2000), Some(18));
    assert_eq!(short(79, 3000), None);
    assert_eq!(short(82, 4000), None);
    assert!((watch.highest_share() - 0.82).abs() < 1e-9);
    let followed = watch.followed();
    let left: Vec<u32> = followed.fullest.iter().map(Headroom::left).collect();
    assert_eq!((followed.count, left), (1, vec![18]), "it has enough");
}

#[test]
fn the_time_that_is_left_is_told_before_the_ports_are_gone() {
    let (mut watch, mut findings) = (PortWatch::default(), Findings::default());
    let none = look(
        &mut watch,
        &census(at(0), 0, 40, TwReuse::No),
        &mut findings,
    );
    assert_eq!(none, []);
    let half = look(
        &mut watch,
        &census(at(10), 0, 49, TwReuse::No),
        &mut findings,
    );
    assert_eq!(half, [], "less than half are gone");
    let soon = look(
        &mut watch,
        &census(at(15), 0, 55, TwReuse::No),
        &mut findings,
    );
    assert_eq!(soon[0].exhausted_in, Some(Duration::from_secs(45)));
    assert_eq!((soon[0].left(), soon[0].used()), (45, 55));
    assert!(soon[0].remedy().contains("tcp_tw_reuse=1"));
}

#[test]
fn a_time_wait_that_a_connect_may_take_is_not_in_the_way() {
    let (mut watch, mut findings) = (PortWatch::default(), Findings::default());
    let taken = look(
        &mut watch,
        &census(at(0), 10, 90, TwReuse::Yes),
        &mut findings,
    );
    // One or two of 90 are younger than a second.
    assert_eq!(taken, []);
    let not = look(
        &mut watch,
        &census(at(100), 10, 90, TwReuse::LoopbackOnly),
        &mut findings,
    );
    assert_eq!(not[0].left(), 0);
}

/// A connect that found no port.
fn failed(comm: &str, peer: &str) -> Verdict {
    Verdict {
        ending: Ending::ConnectFailed,
        role: Role::Client,
        netns: NETNS,
        ends: Some(Ends {
            local: "192.0.2.1:0".parse().unwrap(),
            peer: peer.parse().unwrap(),
        }),
        opened_by: Some(Task {
            pid: 1,
            comm: comm.into(),
            exiting: false,
        }),
        ..sink::sample::unknown()
    }
}

/// What is told after these verdicts.
fn after(verdicts: &[Verdict], census: &Census) -> Vec<Headroom> {
    let mut recent = Recent::default();
    for verdict in verdicts {
        recent.note(verdict);
    }
    let mut lately = Lately::new(at(0));
    lately.add(at(10), recent);
    PortWatch::default().look(census, &lately, &Findings::default())
}

#[test]
fn connects_that_find_no_port_are_told_though_few_are_taken() {
    let census = census(at(10), 5, 0, TwReuse::No);
    assert_eq!(after(&[], &census), []);
    let told = after(&vec![failed("curl", "192.0.2.7:443"); 3], &census);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].left(), told[0].failed), (95, 3));
    assert_eq!(told[0].clients, ["curl".into()]);
    assert!(told[0].remedy().contains("bind()"));
    let other = after(&[failed("wget", "192.0.2.8:80")], &census);
    assert_eq!(other.len(), 1);
    assert!(other[0].destination.source.is_unspecified());
    assert_eq!(other[0].clients, ["wget".into()]);
}

#[test]
fn who_closed_first_or_found_no_port_is_named_most_first() {
    let census = census(at(10), 0, 95, TwReuse::No);
    let curl = failed("curl", "192.0.2.7:443");
    let closed = Verdict {
        ending: Ending::ActiveClose,
        time_wait: TimeWait::Local,
        ..failed("wget", "192.0.2.7:443")
    };
    let told = after(&[closed.clone(), closed, curl], &census);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].left(), told[0].failed), (5, 1));
    assert_eq!(told[0].clients, ["wget".into(), "curl".into()]);
    assert!(told[0].remedy().contains("closes first"));
}
