//! A census after the other, with and without what the tracker knows.

use std::time::Duration;

use super::Stalls;
use crate::census::{Census, Holders, Orphans, Quiet, Seen};
use crate::detect::sample::{self, NETNS, at};
use crate::detect::{Age, Findings, Kind, Matter, Service};
use crate::event::{State, Task, Timestamp};
use crate::track::{Origin, Standing};

const AFTER: Duration = Duration::from_mins(1);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The socket with this number, of which nothing was heard for so long.
fn seen(state: State, number: u16, quiet: Duration) -> Seen {
    let mut seen = Seen {
        quiet: Some(Quiet {
            data_sent: quiet,
            data_received: quiet,
            ack_received: quiet,
        }),
        ..sample::seen(state, number.into())
    };
    seen.ends.peer.set_port(50_000 + number);
    seen
}

fn orphan(state: State, number: u16, send_queue: u32) -> Seen {
    Seen {
        inode: 0,
        send_queue,
        ..seen(state, number, Duration::ZERO)
    }
}

fn standing(of: &Seen, since: Timestamp, comm: &str) -> Standing {
    Standing {
        ends: of.ends,
        state: of.state,
        origin: Origin::Accepted,
        closed_by: Some(Task {
            pid: 42,
            comm: comm.into(),
            exiting: false,
        }),
        ..sample::standing(since)
    }
}

fn census(now: Timestamp, sockets: &[Seen]) -> Census {
    sample::census(now, sockets, &sample::SYSCTLS)
}

/// What one agent sees and says.
struct Agent {
    stalls: Stalls,
    findings: Findings,
}

impl Agent {
    fn new() -> Self {
        Self {
            stalls: Stalls::new(AFTER),
            findings: Findings::default(),
        }
    }

    fn look(&mut self, census: &Census, standing: &[Standing]) -> Vec<Matter> {
        self.stalls.look(census, standing);
        let matters = self.stalls.matters(&Holders::default(), &self.findings);
        drop(
            self.findings
                .conclude(matters.clone(), census, Timestamp(0)),
        );
        matters
    }
}

fn half_closed(matters: &[Matter]) -> Vec<Age> {
    let age = |matter: &Matter| {
        let Matter::FinWait2Stall(half) = matter else {
            panic!("{matter:?}")
        };
        half.oldest
    };
    matters.iter().map(age).collect()
}

#[test]
fn what_a_process_holds_in_fin_wait2_is_told_with_its_age() {
    let mut agent = Agent::new();
    let held = seen(State::FinWait2, 5, seconds(70));
    let known = standing(&held, at(930), "curl");
    let matters = agent.look(&census(at(1000), &[held]), &[known]);
    assert_eq!(half_closed(&matters), [Age::exactly(seconds(70))]);
    let Matter::FinWait2Stall(half) = &matters[0] else {
        panic!("{matters:?}")
    };
    assert_eq!((half.count, half.service), (1, Service::Local(8080)));
    let by = half.sockets[0].closed_by.as_ref();
    assert_eq!(by.map(|task| &*task.comm), Some("curl"));
    let id = matters[0].id();
    assert_eq!(id, format!("fin_wait2_stall/{NETNS}/~not_found/local-8080"));
    // The peer has closed.
    assert_eq!(agent.look(&census(at(1015), &[]), &[]), []);
}

#[test]
fn an_age_is_a_lower_bound_where_nobody_saw_the_beginning_and_grows() {
    let mut agent = Agent::new();
    let first = seen(State::FinWait2, 5, seconds(65));
    let matters = agent.look(&census(at(1000), &[first]), &[]);
    assert_eq!(half_closed(&matters), [Age::at_least(seconds(65))]);
    // A keep-alive probe was answered meanwhile, and no data came.
    let mut answered = seen(State::FinWait2, 5, seconds(3));
    answered.quiet = answered.quiet.map(|quiet| Quiet {
        data_received: seconds(80),
        ..quiet
    });
    let matters = agent.look(&census(at(1015), &[answered]), &[]);
    assert_eq!(half_closed(&matters), [Age::at_least(seconds(80))]);
}

#[test]
fn what_still_receives_and_what_a_timer_ends_is_no_stall() {
    let mut agent = Agent::new();
    let receives = seen(State::FinWait2, 5, seconds(2));
    let orphan = Seen {
        inode: 0,
        ..seen(State::FinWait2, 6, seconds(90))
    };
    let known = [&receives, &orphan].map(|it| standing(it, at(900), "curl"));
    let matters = agent.look(&census(at(1000), &[receives, orphan]), &known);
    assert_eq!(matters, []);
}

#[test]
fn what_an_earlier_connection_did_is_not_taken_for_this_ones() {
    let mut agent = Agent::new();
    // It sent data 65 s ago, so it has not been in FIN_WAIT2 for 900 s.
    let held = seen(State::FinWait2, 5, seconds(65));
    let matters = agent.look(
        &census(at(1000), &[held]),
        &[standing(&held, at(100), "curl")],
    );
    assert_eq!(half_closed(&matters), [Age::at_least(seconds(65))]);
}

/// A service with so many orphans in LAST_ACK.
fn crowd(count: u16, send_queue: u32) -> Vec<Seen> {
    let numbers = 1..=count;
    numbers
        .map(|number| orphan(State::LastAck, number, send_queue))
        .collect()
}

#[test]
fn fins_that_many_peers_do_not_acknowledge_are_told_until_few_are_left() {
    let mut agent = Agent::new();
    let mut sockets = crowd(10, 101);
    for it in &mut sockets[..3] {
        it.probes_window = true;
    }
    let known: Vec<Standing> = sockets
        .iter()
        .map(|it| standing(it, at(995), "nginx"))
        .collect();
    assert_eq!(agent.look(&census(at(1000), &sockets), &known), []);
    let matters = agent.look(&census(at(1061), &sockets), &known);
    let [Matter::ClosingStall(undrained)] = &matters[..] else {
        panic!("{matters:?}")
    };
    assert_eq!((undrained.count, undrained.orphans), (10, 10));
    assert_eq!((undrained.unacked, undrained.window_shut), (1000, 3));
    assert_eq!(undrained.oldest, Age::exactly(seconds(66)));
    assert_eq!(undrained.closed_by, [("nginx".to_owned(), 10)]);
    assert_eq!(undrained.peers, [("192.0.2.7".parse().unwrap(), 10)]);
    assert!(undrained.remedy().contains("tcp_orphan_retries"));
    assert_eq!(agent.look(&census(at(1070), &sockets[..6]), &[]).len(), 1);
    assert_eq!(agent.look(&census(at(1080), &sockets[..5]), &[]), []);
    assert_eq!(agent.look(&census(at(1090), &sockets[..9]), &[]), []);
}

#[test]
fn what_drains_slowly_is_no_stall() {
    let mut agent = Agent::new();
    for (round, left) in (0..10).zip((1..=10).rev()) {
        let sockets = crowd(12, left * 1000);
        let matters = agent.look(&census(at(1000 + round * 15), &sockets), &[]);
        assert_eq!(matters, [], "round {round}");
    }
    let matters = agent.look(&census(at(1300), &crowd(12, 1000)), &[]);
    assert_eq!(matters.len(), 1);
}

#[test]
fn orphans_are_told_from_half_of_the_bound_on_with_who_closed_them() {
    let mut agent = Agent::new();
    let sockets = crowd(4, 1);
    let known: Vec<Standing> = sockets[..3]
        .iter()
        .map(|it| standing(it, at(999), "nginx"))
        .collect();
    let mut look = |count| {
        let mut census = census(at(1000), &sockets);
        let looked = census.namespaces.get_mut(&NETNS).unwrap();
        looked.orphans = Some(Orphans { count, most: 100 });
        agent.look(&census, &known).pop()
    };
    assert_eq!(look(49), None);
    let Some(Matter::OrphanPressure(pressure)) = look(50) else {
        panic!("not told")
    };
    assert_eq!((pressure.count, pressure.most, pressure.seen), (50, 100, 4));
    assert_eq!(pressure.closed_by, [("nginx".to_owned(), 3)]);
    assert_eq!(pressure.services, [(Service::Local(8080), 4)]);
    assert_eq!(
        look(40).map(|it| it.id()),
        Some("orphan_pressure/host".to_owned())
    );
    assert_eq!(look(39), None);
    assert_eq!(look(49), None);
    assert_eq!(agent.findings.all().len(), 0);
}

#[test]
fn the_pressure_stands_while_nobody_can_look_at_it() {
    let mut agent = Agent::new();
    let mut seen = census(at(1000), &[]);
    let looked = seen.namespaces.get_mut(&NETNS).unwrap();
    looked.orphans = Some(Orphans { count: 9, most: 10 });
    assert_eq!(agent.look(&seen, &[]).len(), 1);
    agent.look(&Census::default(), &[]);
    let kinds: Vec<Kind> = agent
        .findings
        .all()
        .values()
        .map(|it| it.matter.kind())
        .collect();
    assert_eq!(kinds, [Kind::OrphanPressure]);
}
