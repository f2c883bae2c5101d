//! Verdicts counted, summed and forgotten.

use std::time::Duration;

use super::{Happening, Lately, MOST, MOST_COARSE, Recent, What};
use crate::classify::{Ending, Role, TimeWait, Verdict};
use crate::detect::Service;
use crate::detect::sample::at;
use crate::event::{Ends, Task};
use crate::sink::sample;

const NETNS: u32 = 7;

fn task(comm: &str) -> Task {
    Task {
        pid: 1,
        comm: comm.into(),
        exiting: false,
    }
}

/// A client that closed first.
fn closed_first(comm: &str, peer: &str) -> Verdict {
    Verdict {
        ending: Ending::ActiveClose,
        role: Role::Client,
        time_wait: TimeWait::Local,
        netns: NETNS,
        closed_by: Some(task(comm)),
        ends: Some(Ends {
            local: "192.0.2.1:40000".parse().unwrap(),
            peer: peer.parse().unwrap(),
        }),
        ..sample::unknown()
    }
}

fn what(happening: Happening, comm: &str, service: Service) -> What {
    What {
        netns: NETNS,
        happening,
        comm: Some(comm.into()),
        service: Some(service),
    }
}

fn remote(peer: &str) -> Service {
    Service::Remote(peer.parse().unwrap())
}

#[test]
fn who_closes_first_is_counted_by_service() {
    let mut recent = Recent::default();
    let mut client = closed_first("curl", "192.0.2.7:443");
    recent.note(&client);
    recent.note(&client);
    client.time_wait = TimeWait::Peer;
    recent.note(&client);
    let server = Verdict {
        role: Role::Server,
        time_wait: TimeWait::Both,
        closed_by: None,
        opened_by: Some(task("nginx")),
        ..closed_first("", "192.0.2.7:50000")
    };
    recent.note(&server);
    let taken = recent.take();
    let of = |comm, service| taken.get(&what(Happening::TimeWait, comm, service));
    assert_eq!(of("curl", remote("192.0.2.7:443")), 2);
    assert_eq!(of("nginx", Service::Local(40_000)), 1);
    assert_eq!(taken.all(Happening::TimeWait).count(), 2);
    assert_eq!(recent, Recent::default(), "it is taken");
}

#[test]
fn a_connect_without_a_port_is_counted_by_who_connects() {
    let mut recent = Recent::default();
    let mut failed = Verdict {
        ending: Ending::ConnectFailed,
        time_wait: TimeWait::None,
        closed_by: None,
        opened_by: Some(task("wget")),
        ..closed_first("", "192.0.2.7:443")
    };
    recent.note(&failed);
    assert_eq!(recent.all(Happening::NoPort).count(), 0, "it had a port");
    if let Some(ends) = &mut failed.ends {
        ends.local.set_port(0);
    }
    recent.note(&failed);
    let key = what(Happening::NoPort, "wget", remote("192.0.2.7:443"));
    assert_eq!(recent.get(&key), 1);
}

#[test]
fn what_finds_no_room_keeps_its_process_and_then_only_its_number() {
    let mut recent = Recent::default();
    // That it ended at all is counted too.
    for port in 1..=u16::try_from(MOST / 2 + 10).unwrap() {
        recent.note(&closed_first("crawler", &format!("192.0.2.7:{port}")));
    }
    let of = |service| recent.get(&what(Happening::TimeWait, "crawler", service));
    assert_eq!(of(remote("192.0.2.7:1")), 1);
    assert_eq!(of(remote(&format!("192.0.2.7:{}", MOST / 2 + 1))), 0);
    assert_eq!(of(Service::ManyRemotes), 10);
    for name in 0..MOST_COARSE {
        recent.note(&closed_first(&format!("{name}"), "192.0.2.7:1"));
    }
    assert_eq!(recent.other(Happening::TimeWait), 2);
    assert_eq!(recent.counts.len(), MOST + MOST_COARSE);
}

#[test]
fn sums_and_rates_are_over_the_time_that_is_asked_for() {
    const MINUTE: Duration = Duration::from_mins(1);
    let mut lately = Lately::new(at(0));
    assert_eq!(lately.per_minute(0, MINUTE), None);
    let mut recent = Recent::default();
    let key = what(Happening::TimeWait, "curl", remote("192.0.2.7:443"));
    // One a second.
    for second in 1..=600 {
        recent.note(&closed_first("curl", "192.0.2.7:443"));
        if second % 10 == 0 {
            lately.add(at(second), recent.take());
        }
    }
    let sums = |over| lately.sums(Happening::TimeWait, over);
    assert_eq!(sums(MINUTE).into_iter().collect::<Vec<_>>(), [(&key, 60)]);
    assert_eq!(lately.per_minute(60, MINUTE), Some(60.0));
    assert_eq!(sums(Duration::from_hours(1))[&key], 300);
    assert!(lately.slices.len() <= 16, "{}", lately.slices.len());
    assert!(lately.sums(Happening::NoPort, MINUTE).is_empty());
}

#[test]
fn a_rate_needs_a_time() {
    let mut lately = Lately::new(at(5));
    lately.add(at(5), Recent::default());
    assert_eq!(lately.per_minute(9, Duration::from_mins(1)), None);
    lately.add(at(15), Recent::default());
    assert_eq!(lately.per_minute(9, Duration::from_mins(1)), Some(54.0));
}
