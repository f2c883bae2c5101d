//! Memory is used again and given back, and nothing of one connection is told of another.

use proptest::prelude::*;

use super::*;
use crate::event::Task;
use crate::track::Stage;

/// All that ends, with or without giving records back.
fn ended(events: &[(u64, Body)], reuse: bool) -> Vec<Closed> {
    ended_with(events, reuse, 32)
}

fn ended_with(events: &[(u64, Body)], reuse: bool, steps: usize) -> Vec<Closed> {
    let mut tracker = Tracker::new(sight(true), kept(1000, 32));
    tracker.keep_steps(steps);
    let mut all = Vec::new();
    let mut take = |tracker: &mut Tracker| {
        while let Some(output) = tracker.next_output() {
            if let Output::Closed(closed) = output {
                all.push((*closed).clone());
                if reuse {
                    tracker.reuse(closed);
                }
            }
        }
    };
    for (index, (sock, body)) in events.iter().enumerate() {
        feed(&mut tracker, &[(index, (*sock, body.clone()))]);
        take(&mut tracker);
    }
    tracker.handle_timeout(Timestamp(u64::MAX));
    take(&mut tracker);
    all
}

/// Without the task where nobody is known to have made the change.
fn without_bystander(body: &Body) -> Body {
    let mut body = body.clone();
    if let Body::StateChanged { new, task, .. } = &mut body {
        let tells = matches!(
            new,
            State::SynSent | State::FinWait1 | State::LastAck | State::Close
        );
        if !tells {
            *task = Task::default();
        }
    }
    body
}

proptest! {
    #[test]
    fn a_record_that_is_used_again_tells_nothing_of_the_one_before(
        events in proptest::collection::vec(any_event(), 0..200),
        lives in lives(),
    ) {
        let events = [events, lives].concat();
        prop_assert_eq!(ended(&events, true), ended(&events, false));
    }

    #[test]
    fn without_a_timeline_the_verdict_is_the_same(
        events in proptest::collection::vec(any_event(), 0..200),
        lives in lives(),
    ) {
        let events = [events, lives].concat();
        let (with, without) = (ended(&events, true), ended_with(&events, true, 0));
        prop_assert_eq!(with.len(), without.len());
        for (with, without) in with.iter().zip(&without) {
            prop_assert_eq!(classify(with), classify(without));
            prop_assert_eq!(without.timeline().len(), 0);
        }
    }

    #[test]
    fn who_ran_by_chance_is_told_by_nobody(lives in lives()) {
        let without: Vec<_> = lives
            .iter()
            .map(|(sock, body)| (*sock, without_bystander(body)))
            .collect();
        prop_assert_eq!(ended(&lives, true), ended(&without, true));
    }
}

#[test]
fn records_are_bounded_apart_from_what_is_merely_open() {
    let limits = Limits {
        connections: 3,
        records: 2,
        steps: 8,
    };
    let mut tracker = Tracker::new(sight(true), limits);
    let free = || socket(0, false, false, Release::No);
    let mut events = Vec::new();
    for sock in 1..=3 {
        let born = change(sock, State::SynRecv, State::Established, free());
        let closing = change(sock, State::Established, State::FinWait1, free());
        events.extend([(sock, born), (sock, closing)]);
    }
    for sock in 4..=7 {
        let born = change(sock, State::SynRecv, State::Established, free());
        events.push((sock, born));
    }
    let events: Vec<_> = events.into_iter().enumerate().collect();
    feed(&mut tracker, &events);
    assert_eq!((tracker.tracked().all(), tracker.evictions()), (5, 2));
    let socks = |stage| {
        let (mut socks, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let (some, next) = tracker.standing(stage, start, 2);
            socks.extend(some.iter().map(|it| it.sock.0));
            from = next;
        }
        socks.sort_unstable();
        socks
    };
    assert_eq!(
        (socks(Stage::Closing), socks(Stage::Open)),
        (vec![2, 3], vec![5, 6, 7])
    );
}

#[test]
fn a_stack_is_let_go_with_the_connection_that_had_it() {
    let mut tracker = Tracker::new(sight(true), kept(10, 8));
    let free = || socket(0, false, false, Release::No);
    tracker.handle(&Event {
        at: at(1),
        cpu: 0,
        sock: SockId(1),
        body: change(1, State::Close, State::SynSent, free()),
        stack: Some([1, 2, 3].into()),
    });
    let stack = tracker.standing(Stage::Open, 0, 9).0[0].opening.clone();
    let stack = stack.unwrap().stack;
    let held = std::sync::Arc::strong_count(&stack);
    let over = change(1, State::SynSent, State::Close, free());
    feed(&mut tracker, &[(2, (1, over)), (3, (1, Body::Destroyed))]);
    let Some(Output::Closed(closed)) = tracker.next_output() else {
        panic!("nothing ended");
    };
    assert_eq!(closed.opening.as_ref().map(|it| &it.stack), Some(&stack));
    tracker.reuse(closed);
    assert_eq!(std::sync::Arc::strong_count(&stack), held - 1);
}
