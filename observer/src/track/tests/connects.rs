//! How a connect ends whose error somebody took before the connection had ended.

use super::*;
use crate::classify::{Confidence, Ending, Verdict};

/// The timer ends a connect; the file is gone by then, and so is the error.
fn ended(full: bool, shut: bool) -> Verdict {
    let mut tracker = Tracker::new(sight(full), kept(10, 8));
    let open = socket(0, false, false, Release::No);
    let mut last = socket(0, false, false, Release::Yes);
    (last.send_shut, last.receive_shut) = (shut, shut);
    last.sequences.write_seq = 1000;
    last.retransmits = 1;
    let opening = change(1, State::Close, State::SynSent, open);
    let over = change(1, State::SynSent, State::Close, last);
    feed(&mut tracker, &[(1, (1, opening)), (2, (1, over))]);
    tracker.handle_timeout(Timestamp(u64::MAX));
    classify(&closed(&mut tracker)[0])
}

#[test]
fn a_close_that_waits_for_the_timer_is_not_taken_for_the_end() {
    let verdict = ended(true, false);
    let told = (verdict.ending, verdict.confidence);
    assert_eq!(told, (Ending::TimeoutConnect, Confidence::Inferred));
    let verdict = ended(true, true);
    let told = (verdict.ending, verdict.confidence);
    assert_eq!(told, (Ending::NeverEstablished, Confidence::Exact));
}

#[test]
fn where_a_disconnect_is_not_visible_nothing_is_exact() {
    assert_eq!(ended(false, false).confidence, Confidence::Inferred);
}
