//! What the audit is told beside the ends of connections: everything once, when it happens.

use proptest::prelude::*;

use super::*;
use crate::event::ReplyTarget;

fn resets(tracker: &mut Tracker) -> Vec<(Option<u32>, Timestamp)> {
    let mut told = Vec::new();
    while let Some(output) = tracker.next_output() {
        if let Output::ResetSent { netns, at } = output {
            told.push((netns, at));
        }
    }
    told
}

fn reply() -> Body {
    Body::ResetReplied {
        reason: None,
        target: ReplyTarget::Socket {
            state: State::SynSent,
            ends: None,
            netns: 1,
        },
    }
}

#[test]
fn a_reset_of_a_connection_that_lives_on_is_told_at_once_and_only_once() {
    let mut tracker = Tracker::new(sight(true), kept(9, 8));
    let open = || socket(0, false, false, Release::No);
    let opening = change(1, State::Close, State::SynSent, open());
    feed(&mut tracker, &[(0, (1, opening)), (1, (1, reply()))]);
    assert_eq!(resets(&mut tracker), [(Some(1), at(1))]);
    let given_up = change(1, State::SynSent, State::Close, open());
    feed(
        &mut tracker,
        &[(2, (1, given_up)), (3, (1, Body::Destroyed))],
    );
    tracker.handle_timeout(Timestamp(u64::MAX));
    assert_eq!(
        (tracker.tracked().all(), resets(&mut tracker)),
        (0, Vec::new())
    );
}

#[test]
fn a_reset_whose_namespace_is_told_later_is_told_with_it() {
    let mut tracker = Tracker::new(sight(true), kept(9, 8));
    let sent = Body::ResetSent {
        reason: None,
        state: Some(State::Established),
    };
    feed(&mut tracker, &[(0, (1, sent))]);
    assert_eq!(resets(&mut tracker), []);
    let over = change(
        1,
        State::Established,
        State::Close,
        socket(0, false, false, Release::No),
    );
    feed(&mut tracker, &[(1, (1, over)), (2, (1, Body::Destroyed))]);
    assert_eq!(resets(&mut tracker), [(Some(1), at(1))]);
}

#[test]
fn a_minisock_older_than_the_agent_is_told_when_its_time_runs_out() {
    for (substate, expired, told) in [
        (Substate::FinWait2, Some(true), true),
        (Substate::FinWait2, Some(false), false),
        (Substate::TimeWait, Some(true), false),
    ] {
        let mut tracker = Tracker::new(sight(true), kept(9, 8));
        let over = Body::MinisockEnded {
            substate,
            expired,
            netns: 1,
            task: task(),
        };
        feed(&mut tracker, &[(0, (MINISOCKS, over))]);
        let output = tracker.next_output();
        let unknown = matches!(output, Some(Output::UnknownExpired { netns: 1, .. }));
        assert_eq!(unknown, told, "{output:?}");
    }
}

proptest! {
    #[test]
    fn no_reset_is_told_twice_whatever_happens(
        events in proptest::collection::vec(any_event(), 0..200),
    ) {
        let mut tracker = Tracker::new(sight(true), kept(5, 4));
        let (mut sent, mut told) = (0, 0);
        for (index, (sock, body)) in events.into_iter().enumerate() {
            sent += usize::from(matches!(
                body,
                Body::ResetSent { .. } | Body::ResetReplied { .. } | Body::MinisockAnswered { .. }
            ));
            tracker.handle(&Event { at: at(index), cpu: 0, sock: SockId(sock), body, stack: None });
            told += resets(&mut tracker).len();
            prop_assert!(told <= sent);
        }
        tracker.handle_timeout(Timestamp(u64::MAX));
        prop_assert!(told + resets(&mut tracker).len() <= sent);
    }
}
