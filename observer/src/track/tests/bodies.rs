//! Events to feed the tracker: arbitrary ones, and those of whole connections.

use proptest::prelude::*;

use crate::event::{
    Body, Ends, Release, ReplyTarget, Sequences, SockId, Socket, State, Substate, Task, TwStatus,
};

/// Minisocks have addresses from here on.
pub(super) const MINISOCKS: u64 = 1000;

pub(super) fn task() -> Task {
    Task {
        pid: 7,
        comm: "app".into(),
        exiting: false,
    }
}

pub(super) fn ends(sock: u64) -> Ends {
    let port = 40_000 + u16::try_from(sock % 1000).unwrap();
    Ends {
        local: ([127, 0, 0, 1], port).into(),
        peer: ([127, 0, 0, 2], 80).into(),
    }
}

pub(super) fn socket(error: u16, dead: bool, done: bool, release: Release) -> Socket {
    Socket {
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
        subflow: false,
        hashed: None,
        write_timer: false,
        retransmits: 0,
        probes: 0,
        has_socket: !dead,
        release,
    }
}

pub(super) fn change(sock: u64, old: State, new: State, socket: Socket) -> Body {
    Body::StateChanged {
        old,
        new,
        task: task(),
        ends: Some(ends(sock)),
        netns: 1,
        cgroup: None,
        cookie: None,
        socket,
    }
}

pub(super) fn any_state() -> impl Strategy<Value = State> {
    (1u8..=12).prop_map(|number| State::from_number(number).unwrap())
}

pub(super) fn any_substate() -> impl Strategy<Value = Substate> {
    prop_oneof![Just(Substate::FinWait2), Just(Substate::TimeWait)]
}

pub(super) fn any_truth() -> impl Strategy<Value = Option<bool>> {
    proptest::option::of(any::<bool>())
}

pub(super) fn any_state_change() -> impl Strategy<Value = Body> {
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

pub(super) fn any_reply() -> impl Strategy<Value = Body> {
    let ends = Some(ends(1));
    let target = prop_oneof![
        Just(ReplyTarget::Nobody),
        Just(ReplyTarget::Handshake { netns: 1 }),
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

pub(super) fn any_minisock_event() -> impl Strategy<Value = Body> {
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
            netns: 1,
            task: task(),
        }),
    ]
}

pub(super) fn any_act() -> impl Strategy<Value = Body> {
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

pub(super) fn any_event() -> impl Strategy<Value = (u64, Body)> {
    let body = prop_oneof![
        4 => any_state_change(),
        2 => any_act(),
        1 => any_reply(),
        2 => any_minisock_event(),
    ];
    let sock = prop_oneof![0u64..12, MINISOCKS..MINISOCKS + 4];
    (sock, body)
}
