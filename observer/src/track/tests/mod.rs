//! Properties of the tracker under arbitrary and disturbed events.

mod bodies;
mod books;
mod connects;
mod lives;
mod reuse;
mod standing;
mod unborn;

use proptest::prelude::*;

use super::{Closed, Limits, Origin, Output, Sight, Standing, Step, Tracker};
use crate::classify::classify;
use crate::event::{Body, Ends, Event, Release, SockId, State, Substate, Timestamp};

use bodies::{MINISOCKS, any_event, change, ends, socket, task};
use lives::{lives, orphan};

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

fn closed(tracker: &mut Tracker) -> Vec<Closed> {
    let mut all = Vec::new();
    while let Some(output) = tracker.next_output() {
        if let Output::Closed(closed) = output {
            let _judged = classify(&closed);
            all.push(*closed);
        }
    }
    all
}

fn kept(limit: usize, steps: usize) -> Limits {
    Limits {
        connections: limit,
        records: limit,
        steps,
    }
}

fn at(index: usize) -> Timestamp {
    Timestamp(1 + 1_000 * u64::try_from(index).unwrap())
}

fn feed(tracker: &mut Tracker, events: &[(usize, (u64, Body))]) {
    for (index, (sock, body)) in events {
        tracker.handle(&Event {
            at: at(*index),
            cpu: 0,
            sock: SockId(*sock),
            body: body.clone(),
            stack: None,
        });
    }
}

fn births(closed: &[Closed]) -> Vec<(Timestamp, Option<Ends>)> {
    let seen = closed
        .iter()
        .filter(|closed| closed.origin != Origin::Unseen);
    let mut births: Vec<_> = seen
        .map(|closed| (closed.born_at().unwrap(), closed.ends()))
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
            tracker.handle(&Event { at: at(index), cpu: 0, sock: SockId(sock), body, stack: None });
            // As many that are merely open, and as many of which more is known.
            prop_assert!(tracker.tracked().all() <= 2 * limit);
            if timeouts.contains(&index) {
                tracker.handle_timeout(at(index));
                tracker.handle_loss(at(index));
            }
            for closed in closed(&mut tracker) {
                prop_assert!(closed.timeline().len() <= 4);
                prop_assert!(closed.resets().len() <= Closed::MOST_RESETS);
            }
        }
        for sock in 0..12 {
            tracker.handle(&Event {
                at: at(1000), cpu: 0, sock: SockId(sock), body: Body::Destroyed, stack: None,
            });
        }
        for sock in MINISOCKS..MINISOCKS + 4 {
            tracker.handle(&Event {
                at: at(1000), cpu: 0, sock: SockId(sock), body: Body::Destroyed, stack: None,
            });
        }
        tracker.handle_timeout(Timestamp(u64::MAX));
        prop_assert_eq!(tracker.tracked().all(), 0);
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
        prop_assert_eq!(tracker.tracked().all(), 0);
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
    assert_eq!((tracker.tracked().all(), tracker.evictions()), (2, 1));
    let destroyed = [
        (1, Body::Destroyed),
        (2, Body::Destroyed),
        (3, Body::Destroyed),
    ];
    feed(
        &mut tracker,
        &destroyed.into_iter().enumerate().collect::<Vec<_>>(),
    );
    let ended: Vec<_> = closed(&mut tracker).iter().map(Closed::ends).collect();
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
    tracker.handle(&Event {
        at: Timestamp(1_000),
        cpu: 0,
        sock: SockId(1),
        body: reset,
        stack: None,
    });
    assert_eq!(tracker.poll_timeout(), Some(Timestamp(100_001_000)));
    tracker.handle_timeout(Timestamp(100_000_999));
    assert_eq!(tracker.tracked().all(), 1);
    tracker.handle_timeout(Timestamp(100_001_000));
    assert_eq!(
        (tracker.tracked().all(), closed(&mut tracker).len()),
        (0, 1)
    );
}

#[test]
fn a_handover_is_told_as_it_happens_whether_or_not_minisocks_are_seen() {
    for seen in [true, false] {
        let mut tracker = Tracker::new(sight(seen), kept(2, 8));
        let life = [
            change(1, State::FinWait1, State::FinWait2, orphan()),
            Body::MinisockStarted {
                minisock: SockId(MINISOCKS),
                substate: Substate::FinWait2,
            },
            change(1, State::FinWait2, State::Close, orphan()),
        ];
        let told = |body: &Body| seen || !matches!(body, Body::MinisockStarted { .. });
        let life: Vec<_> = life
            .into_iter()
            .filter(told)
            .map(|body| (1, body))
            .collect();
        feed(
            &mut tracker,
            &life.into_iter().enumerate().collect::<Vec<_>>(),
        );
        tracker.handle_timeout(Timestamp(u64::MAX));
        let output = tracker.next_output();
        let started = matches!(output, Some(Output::MinisockStarted { netns: 1, .. }));
        assert!(started, "{output:?}");
    }
}

#[test]
fn a_record_stays_small() {
    assert!(size_of::<Closed>() <= 408, "{}", size_of::<Closed>());
    assert!(size_of::<Step>() <= 64, "{}", size_of::<Step>());
}
