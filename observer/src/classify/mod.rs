//! Why it ended, and who ended it.
//!
//! Takes one [`Closed`] connection; gives one [`Verdict`]. Pure: no
//! IO, no clock, no memory of other connections, and never a panic.

mod ending;
mod explain;
mod found;
mod verdict;

mod connect;
mod gave_up;
mod orderly;
mod reset_received;
mod reset_sent;
mod silent;

mod counters;
mod details;
mod left_behind;
mod resets;

pub use counters::{Counter, Counts};
pub use ending::{Ending, Group};
pub use explain::{Explanation, KernelCounter, Lane, Myth, Next, Setting, Step, Wire};
pub use verdict::{
    Attributes, Closer, Confidence, Initiator, LeftBehind, Phase, ResetCause, ResetCauses, Role,
    TimeWait, Verdict,
};

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::event::Timestamp;
use crate::track::{Closed, Gap};

use found::{Found, NOTHING_FITS};

/// The groups of recognisers, in the order in which they are asked: the first that answers
/// is right, because each looks at evidence that those after it do not contradict.
const RECOGNISERS: [fn(&Closed) -> Option<Found>; 6] = [
    connect::recognise,
    reset_sent::recognise,
    reset_received::recognise,
    gave_up::recognise,
    orderly::recognise,
    silent::recognise,
];

/// Judges one closed connection. Its timeline is not copied: see [`Verdict::with_evidence`].
pub fn classify(closed: &Closed) -> Verdict {
    let found = RECOGNISERS
        .into_iter()
        .find_map(|recognise| recognise(closed));
    let ending = found.map_or(Ending::Unknown, |found| found.ending);
    let (confidence, doubt) = confidence(closed, found);
    Verdict {
        ending,
        role: details::role(closed),
        initiator: details::initiator(closed, ending),
        closer: details::closer(closed),
        half_closed: details::half_closed(closed),
        time_wait: details::time_wait(closed, ending),
        left_behind: lost(closed, ending),
        phases: closed.phases.times(),
        confidence,
        doubt,
        attributes: attributes(closed, ending),
        resets_sent: resets::causes(closed, ending),
        counters: counters::of(closed, ending),
        reset_received: ending.group() == Group::ResetReceived,
        ended_at: ended_at(closed),
        born_at: closed.born_at(),
        ends: closed.ends(),
        netns: closed.netns,
        cgroup: closed.cgroup.map(NonZeroU64::get),
        cookie: closed.cookie.map(NonZeroU64::get),
        closed_by: details::closed_by(closed, ending).map(|who| closed.task(who)),
        opened_by: closed.opened_by.map(|who| closed.task(who)),
        reset_reason: closed
            .resets()
            .iter()
            .rev()
            .find_map(|reset| reset.reason.as_ref().map(|it| Arc::clone(&it.name))),
        error: closed.last_socket().map_or(0, |socket| socket.error),
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

fn confidence(closed: &Closed, found: Option<Found>) -> (Confidence, Option<&'static str>) {
    if let Some(gap) = closed.gap {
        let doubt = match gap {
            Gap::Birth => "its birth was not seen",
            Gap::Loss => "events were lost while it was open",
            Gap::Sequence => "a state change was not seen",
            Gap::End => "its end was not seen",
        };
        return (Confidence::Partial, Some(doubt));
    }
    match found {
        Some(Found { doubt: None, .. }) if details::linger_unseen(closed) => (
            Confidence::Inferred,
            Some("whether close() waited in vain is not visible"),
        ),
        Some(Found { doubt: None, .. }) => (Confidence::Exact, None),
        Some(Found { doubt, .. }) => (Confidence::Inferred, doubt),
        None => (Confidence::Inferred, Some(NOTHING_FITS)),
    }
}

/// The deciding transition: what became of the minisock, else the change to CLOSE.
fn ended_at(closed: &Closed) -> Timestamp {
    let decided = closed
        .minisock
        .and_then(|minisock| minisock.fate())
        .map(|(_, at)| at);
    let exited = closed.exit.as_ref().map(|exit| exit.at);
    decided
        .or(exited)
        .or_else(|| closed.since())
        .unwrap_or(closed.first_at)
}

/// After an orderly end, an application that still holds the socket can read on: what is in
/// the receive queue is not lost.
fn lost(closed: &Closed, ending: Ending) -> LeftBehind {
    let mut lost = left_behind::of(closed);
    let held = closed.last_socket().is_some_and(|socket| !socket.dead);
    if held && ending.group() == Group::Orderly && lost.unread != Some(0) {
        lost.unread = None;
    }
    lost
}

fn attributes(closed: &Closed, ending: Ending) -> Attributes {
    Attributes {
        linger_expired: details::linger_expired(closed),
        reset_sent: ending.group() != Group::ResetSent && !closed.resets().is_empty(),
        time_wait_overflow: orderly::overflowed(closed),
        minisock: details::decided_by_minisock(closed),
    }
}
