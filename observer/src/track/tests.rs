//! Properties of the tracker under arbitrary and disturbed events.

use proptest::prelude::*;

use super::{Closed, Limits, Origin, Output, Sight, Tracker};
use crate::classify::classify;
use crate::event::{
    Body, Ends, Event, Release, ReplyTarget, Sequences, SockId, Socket, State, Substate, Task,
    Timestamp, TwStatus,
};

const MINISOCKS: u64 = 1000;

fn sight(full: bool) -> Sight {
    Sight {
        close: full,
        minisocks: full,
        segment_of_reset: full,
        teardown: full,
        replies_beyond_sockets: full,
        replies: true,
        resets_sent: true,
        reset_reasons: full,
    }
}

fn task() -> Task {
    Task {
        pid: 7,
        comm: "app".into(),
        exiting: false,
    }
}

fn ends(sock: u64) -> Ends {
    let port = 40_000 + u16::try_from(sock % 1000).unwrap();
    Ends {
        local: ([127, 0, 0, 1], port).into(),
        peer: ([127, 0, 0, 2], 80).into(),
    }
}

fn socket(error: u16, dead: bool, done: bool, release: Release) -> Box<Socket> {
    Box::new(Socket {
        cookie: None,
        cgroup: None,
        sequences: Sequences::default(),
        error,
        soft_error: 0,
        receive_shut: release == Release::Yes,
        send_shut: release == Release::Yes,
        dead,
        done,
        keepalive: false,
        linger: None,
        linger2: 0,
        user_timeout: None,
        repair: false,
        retransmits: 0,
        probes: 0,
        has_socket: !dead,
        release,
    })
}

fn change(sock: u64, old: State, new: State, socket: Box<Socket>) -> Body {
    Body::StateChanged {
        old,
        new,
        task: task(),
        ends: Some(ends(sock)),
        netns: 1,
        socket,
    }
}

fn any_state() -> impl Strategy<Value = State> {
    (1u8..=12).prop_map(|number| State::from_number(number).unwrap())
}

fn any_substate() -> impl Strategy<Value = Substate> {
    prop_oneof![Just(Substate::FinWait2), Just(Substate::TimeWait)]
}

fn any_truth() -> impl Strategy<Value = Option<bool>> {
    proptest::option::of(any::<bool>())
}

fn any_state_change() -> impl Strategy<Value = Body> {
    let error = prop_oneof![
        Just(0u16),
        Just(32),
        Just(103),
        Just(104),
        Just(110),
        Just(111)
    ];
    let release = prop_oneof![
        Just(Release::Yes),
        Just(Release::No),
        Just(Release::Unknown)
    ];
    (
        any_state(),
        any_state(),
        error,
        any::<(bool, bool)>(),
        release,
    )
        .prop_map(|(old, new, error, (dead, done), release)| {
            change(1, old, new, socket(error, dead, done, release))
        })
}

fn any_reply() -> impl Strategy<Value = Body> {
    let ends = Some(ends(1));
    let target = prop_oneof![
        Just(ReplyTarget::Nobody),
        Just(ReplyTarget::Handshake),
        Just(ReplyTarget::Minisock { ends, netns: 1 }),
        Just(ReplyTarget::Socket {
            state: State::Close,
            ends,
            netns: 1
        }),
    ];
    target.prop_map(|target| Body::ResetReplied {
        reason: None,
        target,
    })
}

fn any_minisock_event() -> impl Strategy<Value = Body> {
    let answer = prop_oneof![
        Just(TwStatus::Success),
        Just(TwStatus::Reset),
        Just(TwStatus::Ack),
        Just(TwStatus::Syn)
    ];
    prop_oneof![
        (0u64..4, any_substate()).prop_map(|(minisock, substate)| Body::MinisockStarted {
            minisock: SockId(MINISOCKS + minisock),
            substate,
        }),
        (proptest::option::of(answer), any_substate(), any_truth()).prop_map(
            |(answer, substate, segment_is_reset)| Body::MinisockAnswered {
                answer,
                substate,
                segment_is_reset,
            }
        ),
        (any_substate(), any_truth()).prop_map(|(substate, expired)| Body::MinisockEnded {
            substate,
            expired,
            task: task(),
        }),
    ]
}

fn any_act() -> impl Strategy<Value = Body> {
    let state = || proptest::option::of(any_state());
    prop_oneof![
        Just(Body::CloseCalled {
            task: task(),
            timeout: 0
        }),
        Just(Body::Accepted { task: task() }),
        Just(Body::Forgotten { task: task() }),
        Just(Body::Destroyed),
        state().prop_map(|state| Body::ResetSent {
            reason: None,
            state
        }),
        state().prop_map(|state| Body::Aborted {
            task: task(),
            state
        }),
        (state(), any::<bool>()).prop_map(|(state, has_socket)| Body::Disconnected {
            task: task(),
            state,
            has_socket,
        }),
        (state(), any_truth()).prop_map(|(state, segment_is_reset)| Body::ResetReceived {
            segment_is_reset,
            state,
        }),
    ]
}

fn any_event() -> impl Strategy<Value = (u64, Body)> {
    let body = prop_oneof![
        4 => any_state_change(),
        2 => any_act(),
        1 => any_reply(),
        2 => any_minisock_event(),
    ];
    let sock = prop_oneof![0u64..12, MINISOCKS..MINISOCKS + 4];
    (sock, body)
}

fn closed(tracker: &mut Tracker) -> Vec<Box<Closed>> {
    let mut all = Vec::new();
    while let Some(output) = tracker.next_output() {
        if let Output::Closed(closed) = output {
            let _judged = classify(&closed);
            all.push(closed);
        }
    }
    all
}

fn kept(limit: usize, steps: usize) -> Limits {
    Limits {
        connections: limit,
        steps,
    }
}

/// One connection from SYN to the end, seen from one side.
fn life(sock: u64, way: u8) -> Vec<(u64, Body)> {
    use State::{Close, CloseWait, Established, FinWait1, FinWait2, LastAck, SynRecv, SynSent};
    let minisock = MINISOCKS + sock;
    let plain = || socket(0, false, false, Release::No);
    let dead = || socket(0, true, false, Release::No);
    let closing = || socket(0, false, false, Release::Yes);
    let on = |bodies: Vec<Body>| {
        bodies
            .into_iter()
            .map(|body| (sock, body))
            .collect::<Vec<_>>()
    };
    let mut events = match way % 2 {
        0 => on(vec![
            change(sock, Close, SynSent, plain()),
            change(sock, SynSent, Established, plain()),
        ]),
        _ => on(vec![
            change(sock, SynRecv, Established, plain()),
            Body::Accepted { task: task() },
        ]),
    };
    match way / 2 % 4 {
        0 => {
            events.extend(on(vec![
                Body::CloseCalled {
                    task: task(),
                    timeout: 0,
                },
                change(sock, Established, FinWait1, closing()),
                change(sock, FinWait1, FinWait2, dead()),
                Body::MinisockStarted {
                    minisock: SockId(minisock),
                    substate: Substate::FinWait2,
                },
                change(sock, FinWait2, Close, dead()),
                Body::Destroyed,
            ]));
            events.push((
                minisock,
                Body::MinisockAnswered {
                    answer: Some(TwStatus::Ack),
                    substate: Substate::TimeWait,
                    segment_is_reset: Some(false),
                },
            ));
        }
        1 => events.extend(on(vec![
            change(sock, Established, CloseWait, plain()),
            change(sock, CloseWait, LastAck, closing()),
            change(sock, LastAck, Close, dead()),
            Body::Destroyed,
        ])),
        2 => events.extend(on(vec![
            change(sock, Established, Close, closing()),
            Body::ResetSent {
                reason: None,
                state: Some(Close),
            },
            Body::Destroyed,
        ])),
        _ => events.extend(on(vec![
            Body::ResetReceived {
                segment_is_reset: Some(true),
                state: Some(Established),
            },
            change(
                sock,
                Established,
                Close,
                socket(104, false, false, Release::No),
            ),
            Body::Destroyed,
        ])),
    }
    events
}

/// Lives one after the other on the same few addresses, in order.
fn lives() -> impl Strategy<Value = Vec<(u64, Body)>> {
    proptest::collection::vec((0u64..4, any::<u8>()), 1..12).prop_map(|lives| {
        lives
            .into_iter()
            .flat_map(|(sock, way)| life(sock, way))
            .collect()
    })
}

fn at(index: usize) -> Timestamp {
    Timestamp(1 + 1_000 * u64::try_from(index).unwrap())
}

fn feed(tracker: &mut Tracker, events: &[(usize, (u64, Body))]) {
    for (index, (sock, body)) in events {
        tracker.handle(Event {
            at: at(*index),
            cpu: 0,
            sock: SockId(*sock),
            body: body.clone(),
        });
    }
}

fn births(closed: &[Box<Closed>]) -> Vec<(Timestamp, Option<Ends>)> {
    let seen = closed
        .iter()
        .filter(|closed| closed.origin != Origin::Unseen);
    let mut births: Vec<_> = seen
        .map(|closed| (closed.born_at().unwrap(), closed.ends))
        .collect();
    births.sort();
    births
}

proptest! {
    #[test]
    fn arbitrary_events_never_panic_and_memory_stays_bounded(
        full in any::<bool>(),
        events in proptest::collection::vec(any_event(), 0..200),
        timeouts in proptest::collection::vec(0usize..200, 0..4),
    ) {
        let limit = 5;
        let mut tracker = Tracker::new(sight(full), kept(limit, 4));
        for (index, (sock, body)) in events.into_iter().enumerate() {
            tracker.handle(Event { at: at(index), cpu: 0, sock: SockId(sock), body });
            prop_assert!(tracker.tracked() <= limit);
            if timeouts.contains(&index) {
                tracker.handle_timeout(at(index));
                tracker.handle_loss(at(index));
            }
            for closed in closed(&mut tracker) {
                prop_assert!(closed.timeline.len() <= 4);
                prop_assert!(closed.resets.len() <= Closed::MOST_RESETS);
            }
        }
        for sock in 0..12 {
            tracker.handle(Event {
                at: at(1000), cpu: 0, sock: SockId(sock), body: Body::Destroyed,
            });
        }
        for sock in MINISOCKS..MINISOCKS + 4 {
            tracker.handle(Event {
                at: at(1000), cpu: 0, sock: SockId(sock), body: Body::Destroyed,
            });
        }
        tracker.handle_timeout(Timestamp(u64::MAX));
        prop_assert_eq!(tracker.tracked(), 0);
        prop_assert_eq!(tracker.poll_timeout(), None);
    }

    #[test]
    fn undisturbed_lives_end_exactly_once_each(full in any::<bool>(), events in lives()) {
        let events: Vec<_> = events.into_iter().enumerate().collect();
        let mut tracker = Tracker::new(sight(full), kept(1000, 32));
        feed(&mut tracker, &events);
        tracker.handle_timeout(Timestamp(u64::MAX));
        let closed = closed(&mut tracker);
        let born = events.iter().filter(|(_, (_, body))| matches!(
            body,
            Body::StateChanged { new: State::SynSent, .. }
                | Body::StateChanged { old: State::SynRecv, .. }
        ));
        prop_assert_eq!(births(&closed).len(), closed.len());
        prop_assert_eq!(closed.len(), born.count());
        prop_assert!(closed.iter().all(|closed| closed.gap.is_none()));
        prop_assert_eq!(tracker.tracked(), 0);
    }

    #[test]
    fn no_connection_ends_twice_whatever_is_missing_repeated_or_swapped(
        full in any::<bool>(),
        events in lives(),
        disturb in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..3), 0..10),
    ) {
        let mut events: Vec<_> = events.into_iter().enumerate().collect();
        // Repeated last, so that a repetition stands beside what it repeats.
        let mut disturb = disturb;
        disturb.sort_by_key(|(_, how)| *how);
        for (index, how) in disturb {
            if events.len() < 2 {
                break;
            }
            let index = index.index(events.len() - 1);
            match how {
                0 => drop(events.remove(index)),
                1 => events.swap(index, index + 1),
                _ => events.insert(index, events[index].clone()),
            }
        }
        let mut tracker = Tracker::new(sight(full), kept(1000, 32));
        feed(&mut tracker, &events);
        tracker.handle_timeout(Timestamp(u64::MAX));
        let births = births(&closed(&mut tracker));
        let mut once = births.clone();
        once.dedup();
        prop_assert_eq!(births, once);
    }
}

#[test]
fn the_longest_untouched_connection_is_evicted_and_never_ends() {
    let mut tracker = Tracker::new(sight(true), kept(2, 8));
    let birth = |sock| {
        change(
            sock,
            State::SynRecv,
            State::Established,
            socket(0, false, false, Release::No),
        )
    };
    let accepted = Body::Accepted { task: task() };
    let events = [(1, birth(1)), (2, birth(2)), (1, accepted), (3, birth(3))];
    feed(
        &mut tracker,
        &events.into_iter().enumerate().collect::<Vec<_>>(),
    );
    assert_eq!((tracker.tracked(), tracker.evictions()), (2, 1));
    let destroyed = [
        (1, Body::Destroyed),
        (2, Body::Destroyed),
        (3, Body::Destroyed),
    ];
    feed(
        &mut tracker,
        &destroyed.into_iter().enumerate().collect::<Vec<_>>(),
    );
    let ended: Vec<_> = closed(&mut tracker)
        .iter()
        .map(|closed| closed.ends)
        .collect();
    assert_eq!(ended, [Some(ends(1)), Some(ends(3))]);
}

#[test]
fn a_timer_is_told_and_kept() {
    let mut tracker = Tracker::new(sight(true), kept(2, 8));
    let reset = change(
        1,
        State::Established,
        State::Close,
        socket(104, false, false, Release::No),
    );
    tracker.handle(Event {
        at: Timestamp(1_000),
        cpu: 0,
        sock: SockId(1),
        body: reset,
    });
    assert_eq!(tracker.poll_timeout(), Some(Timestamp(100_001_000)));
    tracker.handle_timeout(Timestamp(100_000_999));
    assert_eq!(tracker.tracked(), 1);
    tracker.handle_timeout(Timestamp(100_001_000));
    assert_eq!((tracker.tracked(), closed(&mut tracker).len()), (0, 1));
}
