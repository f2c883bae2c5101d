//! Connections from birth to end, seen from one side.

use proptest::prelude::*;

use crate::event::{Body, Release, SockId, Socket, State, Substate, TwStatus};

use super::bodies::{MINISOCKS, change, socket, task};

/// Lives one after the other on the same few addresses, in order.
pub(super) fn lives() -> impl Strategy<Value = Vec<(u64, Body)>> {
    let one = (0u64..4, any::<bool>(), 0u8..4);
    proptest::collection::vec(one, 1..12).prop_map(|lives| {
        let mut events = Vec::new();
        for (sock, client, end) in lives {
            events.extend(birth(sock, client).into_iter().map(|body| (sock, body)));
            events.extend(death(sock, end).into_iter().map(|body| (sock, body)));
            if end == 0 {
                events.push((MINISOCKS + sock, peer_fin()));
            }
        }
        events
    })
}

fn birth(sock: u64, client: bool) -> Vec<Body> {
    if client {
        return vec![
            change(sock, State::Close, State::SynSent, open()),
            change(sock, State::SynSent, State::Established, open()),
        ];
    }
    vec![
        change(sock, State::SynRecv, State::Established, open()),
        Body::Accepted { task: task() },
    ]
}

fn death(sock: u64, end: u8) -> Vec<Body> {
    match end {
        0 => vec![
            Body::CloseCalled {
                task: task(),
                timeout: 0,
            },
            change(sock, State::Established, State::FinWait1, closing()),
            change(sock, State::FinWait1, State::FinWait2, orphan()),
            Body::MinisockStarted {
                minisock: SockId(MINISOCKS + sock),
                substate: Substate::FinWait2,
            },
            change(sock, State::FinWait2, State::Close, orphan()),
            Body::Destroyed,
        ],
        1 => vec![
            change(sock, State::Established, State::CloseWait, open()),
            change(sock, State::CloseWait, State::LastAck, closing()),
            change(sock, State::LastAck, State::Close, orphan()),
            Body::Destroyed,
        ],
        2 => vec![
            change(sock, State::Established, State::Close, closing()),
            Body::ResetSent {
                reason: None,
                state: Some(State::Close),
            },
            Body::Destroyed,
        ],
        _ => vec![
            Body::ResetReceived {
                segment_is_reset: Some(true),
                state: Some(State::Established),
            },
            change(
                sock,
                State::Established,
                State::Close,
                socket(104, false, false, Release::No),
            ),
            Body::Destroyed,
        ],
    }
}

fn peer_fin() -> Body {
    Body::MinisockAnswered {
        answer: Some(TwStatus::Ack),
        substate: Substate::TimeWait,
        segment_is_reset: Some(false),
    }
}

fn open() -> Socket {
    socket(0, false, false, Release::No)
}

fn closing() -> Socket {
    socket(0, false, false, Release::Yes)
}

pub(super) fn orphan() -> Socket {
    socket(0, true, false, Release::No)
}
