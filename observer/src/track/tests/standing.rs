//! What the tracker says of connections that are open, and how it forgets those that are gone.

use super::*;
use crate::track::{Gap, Stage};

/// Accepted, and then the peer's FIN, for each of these sockets.
fn waiting(socks: std::ops::Range<u64>) -> Tracker {
    let mut tracker = Tracker::new(sight(true), kept(1000, 8));
    let mut events = Vec::new();
    for sock in socks {
        let open = socket(0, false, false, Release::No);
        let fin = socket(0, false, false, Release::No);
        let first = 10 * usize::try_from(sock).unwrap();
        let born = change(sock, State::SynRecv, State::Established, open);
        let closing = change(sock, State::Established, State::CloseWait, fin);
        events.extend([(first, (sock, born)), (first + 1, (sock, closing))]);
    }
    feed(&mut tracker, &events);
    tracker
}

fn all(tracker: &Tracker, slice: usize) -> (Vec<Standing>, usize) {
    let (mut standing, mut from, mut slices) = (Vec::new(), Some(0), 0);
    while let Some(start) = from {
        let (some, next) = tracker.standing(Stage::Closing, start, slice);
        standing.extend(some);
        (from, slices) = (next, slices + 1);
    }
    (standing, slices)
}

#[test]
fn closing_connections_are_told_slice_by_slice_each_once() {
    let tracker = waiting(1..8);
    let (standing, slices) = all(&tracker, 3);
    assert!(slices >= 3, "{slices} slices");
    let mut socks: Vec<u64> = standing.iter().map(|it| it.sock.0).collect();
    socks.sort_unstable();
    assert_eq!(socks, (1..8).collect::<Vec<_>>());
    let third = standing.iter().find(|it| it.sock == SockId(3)).unwrap();
    assert_eq!((third.state, third.since), (State::CloseWait, at(31)));
    assert_eq!((third.ends, third.first_at), (ends(3), at(30)));
}

#[test]
fn what_is_open_or_over_is_not_closing() {
    let mut tracker = waiting(1..3);
    let open = socket(0, false, false, Release::No);
    let born = change(5, State::SynRecv, State::Established, open);
    let closing = socket(0, false, false, Release::Yes);
    let last = change(1, State::CloseWait, State::LastAck, closing);
    let over = change(1, State::LastAck, State::Close, closing);
    feed(
        &mut tracker,
        &[(100, (5, born)), (101, (1, last)), (102, (1, over))],
    );
    let socks: Vec<SockId> = all(&tracker, 100).0.iter().map(|it| it.sock).collect();
    assert_eq!(socks, [SockId(2)]);
    let (open, _) = tracker.standing(Stage::Open, 0, 100);
    let open: Vec<_> = open.iter().map(|it| (it.sock, it.state)).collect();
    assert_eq!(open, [(SockId(5), State::Established)]);
}

/// The change to SYN_SENT comes before the kernel has chosen a port.
#[test]
fn a_connect_whose_port_nobody_told_is_not_looked_for() {
    let mut tracker = waiting(0..0);
    let syn = socket(0, false, false, Release::No);
    let mut opening = change(7, State::Close, State::SynSent, syn);
    if let Body::StateChanged {
        ends: Some(ends), ..
    } = &mut opening
    {
        ends.local.set_port(0);
    }
    feed(&mut tracker, &[(1, (7, opening))]);
    assert_eq!(tracker.standing(Stage::Open, 0, 100).0, []);
    let open = socket(0, false, false, Release::No);
    let through = change(7, State::SynSent, State::Established, open);
    feed(&mut tracker, &[(2, (7, through))]);
    let (open, _) = tracker.standing(Stage::Open, 0, 100);
    assert_eq!((open.len(), open[0].ends), (1, ends(7)));
}

#[test]
fn what_the_kernel_no_longer_has_ends_once_and_as_partial() {
    let mut tracker = waiting(1..3);
    let ghost = all(&tracker, 100).0.remove(0);
    assert!(tracker.forget(&ghost));
    assert!(!tracker.forget(&ghost), "it is forgotten already");
    let closed = closed(&mut tracker);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].gap, Some(Gap::End));
    assert_eq!(tracker.tracked().all(), 1);
}

#[test]
fn what_moved_on_since_it_was_asked_for_is_not_forgotten() {
    let mut tracker = waiting(1..2);
    let ghost = all(&tracker, 100).0.remove(0);
    let closing = socket(0, false, false, Release::Yes);
    let last = change(1, State::CloseWait, State::LastAck, closing);
    feed(&mut tracker, &[(50, (1, last))]);
    assert!(!tracker.forget(&ghost));
    assert_eq!(
        (tracker.tracked().all(), closed(&mut tracker).len()),
        (1, 0)
    );
}
