//! Connections whose birth is left out: each is told, and none is taken for another.

use super::*;
use crate::classify::{Confidence, Ending};
use crate::event::errno;
use crate::track::{Gap, Stage};

/// Of the connection whose ends have this number, on this pointer.
fn of(number: u64, old: State, new: State, dead: bool) -> Body {
    change(number, old, new, socket(0, dead, false, Release::Yes))
}

#[test]
fn one_change_each_on_the_same_pointer_is_as_many_connections() {
    let mut tracker = Tracker::new(sight(true), kept(10, 8));
    let events: Vec<_> = (0..4)
        .flat_map(|number| {
            let over = of(number, State::Established, State::Close, true);
            let index = usize::try_from(number).unwrap() * 2;
            [(index, (1, over)), (index + 1, (1, Body::Destroyed))]
        })
        .collect();
    feed(&mut tracker, &events);
    tracker.handle_timeout(Timestamp(u64::MAX));
    let told = closed(&mut tracker);
    let numbers: Vec<_> = told.iter().map(Closed::ends).collect();
    assert_eq!(numbers, [0, 1, 2, 3].map(|number| Some(ends(number))));
}

#[test]
fn a_change_that_is_told_twice_is_still_one() {
    let mut tracker = Tracker::new(sight(true), kept(10, 8));
    let over = || of(1, State::Established, State::Close, true);
    feed(&mut tracker, &[(1, (1, over())), (2, (1, over()))]);
    feed(&mut tracker, &[(3, (1, Body::Destroyed))]);
    tracker.handle_timeout(Timestamp(u64::MAX));
    assert_eq!(closed(&mut tracker).len(), 1);
}

/// The end of the first was lost, and the second begins with its FIN.
#[test]
fn other_ends_on_the_same_pointer_are_another_connection() {
    let mut tracker = Tracker::new(sight(true), kept(10, 8));
    let events = [
        (1, of(1, State::SynRecv, State::Established, false)),
        (2, of(2, State::Established, State::FinWait1, true)),
        (3, of(2, State::FinWait1, State::Close, true)),
    ];
    let events = events.map(|(index, body)| (index, (1, body)));
    feed(&mut tracker, &events);
    tracker.handle_timeout(Timestamp(u64::MAX));
    let told = closed(&mut tracker);
    let [first, second] = &told[..] else {
        panic!("two connections: {told:#?}");
    };
    assert_eq!(
        (first.ends(), second.ends()),
        (Some(ends(1)), Some(ends(2)))
    );
    assert_eq!(first.gap, Some(Gap::End), "{first:#?}");
    assert_eq!((second.origin, second.born_at()), (Origin::Unseen, None));
}

/// `connect` sets SYN_SENT before it chooses a port, and the one of the try before stands there.
#[test]
fn a_port_of_the_try_before_makes_no_second_connection() {
    let with_port = |port, (old, new)| {
        let mut body = change(
            1,
            old,
            new,
            socket(errno::ECONNREFUSED, false, false, Release::No),
        );
        if let Body::StateChanged {
            ends: Some(Ends { local, .. }),
            ..
        } = &mut body
        {
            local.set_port(port);
        }
        body
    };
    let refused = Body::ResetReceived {
        segment_is_reset: Some(true),
        state: Some(State::SynSent),
    };
    let events = [
        (1, with_port(40_000, (State::Close, State::SynSent))),
        (2, refused),
        (3, with_port(40_001, (State::SynSent, State::Close))),
    ];
    let mut tracker = Tracker::new(sight(true), kept(10, 8));
    feed(
        &mut tracker,
        &events.map(|(index, body)| (index, (1, body))),
    );
    tracker.handle_timeout(Timestamp(u64::MAX));
    let told = closed(&mut tracker);
    let verdicts: Vec<_> = told.iter().map(classify).collect();
    let told: Vec<_> = verdicts
        .iter()
        .map(|it| (it.ending, it.confidence))
        .collect();
    assert_eq!(told, [(Ending::ConnectRefused, Confidence::Exact)]);
}

/// TIME_WAIT was due and its table full: all but the birth was seen.
#[test]
fn without_its_birth_a_connection_still_ends_as_it_ended() {
    let end = |born: bool| {
        let mut tracker = Tracker::new(sight(true), kept(10, 8));
        let mut last = socket(0, true, false, Release::No);
        (last.done, last.hashed) = (true, Some(true));
        let birth = of(1, State::SynRecv, State::Established, false);
        let events = [
            (1, of(1, State::Established, State::FinWait1, true)),
            (2, of(1, State::FinWait1, State::FinWait2, true)),
            (3, change(1, State::FinWait2, State::Close, last)),
            (4, Body::Destroyed),
        ];
        let all = born.then_some((0, birth)).into_iter().chain(events);
        let all: Vec<_> = all.map(|(index, body)| (index, (1, body))).collect();
        feed(&mut tracker, &all);
        tracker.handle_timeout(Timestamp(u64::MAX));
        let verdict = classify(&closed(&mut tracker)[0]);
        (verdict.ending, verdict.attributes.time_wait_overflow)
    };
    assert_eq!(end(false), end(true));
    assert!(end(true).1, "{:?}", end(true));
}

/// What the peer closed may be a leak, and gives way after what is merely open.
#[test]
fn what_is_merely_open_gives_way_before_what_the_peer_closed() {
    let mut tracker = Tracker::new(sight(true), kept(3, 8));
    let birth = |number| of(number, State::SynRecv, State::Established, false);
    let shut = of(1, State::Established, State::CloseWait, false);
    let events = [
        (1, birth(1)),
        (1, shut),
        (2, birth(2)),
        (3, birth(3)),
        (4, birth(4)),
    ];
    let events: Vec<_> = events.into_iter().enumerate().collect();
    feed(&mut tracker, &events);
    assert_eq!(tracker.evictions(), 1);
    let first = tracker.standing(Stage::Closing, 0, 9).0;
    assert_eq!(first.len(), 1);
    let (open, _) = tracker.standing(Stage::Open, 0, 9);
    let mut socks: Vec<_> = open.iter().map(|it| it.sock.0).collect();
    socks.sort_unstable();
    assert_eq!(socks, [3, 4]);
}
