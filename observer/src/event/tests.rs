//! What the decoder makes of good and bad records.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "any other body fails the test"
)]

use std::num::NonZeroU64;

use observer_ebpf::wire::{self, Kind, flag};
use proptest::prelude::*;
use zerocopy::IntoBytes as _;

use super::{
    Body, DecodeError, Decoder, Event, Release, ReplyTarget, SockId, State, Substate, Timestamp,
    TwStatus, Vocabulary,
};

fn decoder() -> Decoder {
    Decoder::new(Vocabulary::mainline())
}

fn header<T>(kind: Kind) -> wire::Header {
    let size = u16::try_from(size_of::<T>()).unwrap();
    wire::Header {
        kind: kind as u16,
        size,
        cpu: 3,
        at_ns: 42,
        sock: 0xffff_8880,
    }
}

fn decode(record: &[u8]) -> Event {
    decoder().decode(record).unwrap()
}

fn state_changed() -> wire::StateChanged {
    let mut comm = [0; 16];
    comm[..5].copy_from_slice(b"nginx");
    let mut local_address = [0; 16];
    local_address[..4].copy_from_slice(&[10, 0, 0, 1]);
    let mut peer_address = [0; 16];
    peer_address[..4].copy_from_slice(&[10, 0, 0, 2]);
    wire::StateChanged {
        header: header::<wire::StateChanged>(Kind::StateChanged),
        task: wire::Task {
            pid: 7,
            flags: flag::EXITING,
            comm,
        },
        tuple: wire::Tuple {
            local_address,
            peer_address,
            family: 2,
            local_port: 443,
            peer_port: 50000,
            netns: 4_026_531_840,
            ..wire::Tuple::default()
        },
        snapshot: wire::Snapshot {
            cookie: 9,
            sk_flags: 0b1_0010,
            linger_time: 250,
            shutdown: 2,
            marks: flag::HAS_SOCKET | flag::RELEASING_KNOWN | flag::RELEASING,
            user_timeout_ms: 1500,
            error: 104,
            ..wire::Snapshot::default()
        },
        old_state: 1,
        new_state: 4,
        padding: [0; 6],
    }
}

#[test]
fn a_state_change_carries_everything() {
    let event = decode(state_changed().as_bytes());
    assert_eq!(
        (event.at, event.cpu, event.sock),
        (Timestamp(42), 3, SockId(0xffff_8880))
    );
    let Body::StateChanged {
        old,
        new,
        task,
        ends,
        netns,
        cgroup,
        cookie,
        socket,
    } = event.body
    else {
        panic!("{event:?}");
    };
    assert_eq!(
        (old, new, netns),
        (State::Established, State::FinWait1, 4_026_531_840)
    );
    assert_eq!((task.pid, &*task.comm, task.exiting), (7, "nginx", true));
    let ends = ends.unwrap();
    assert_eq!(
        (ends.local.to_string(), ends.peer.to_string()),
        ("10.0.0.1:443".into(), "10.0.0.2:50000".into())
    );
    assert_eq!(
        (cookie, cgroup, socket.linger),
        (NonZeroU64::new(9), None, Some(250))
    );
    assert!(socket.done && !socket.dead && !socket.keepalive);
    assert!(socket.send_shut && !socket.receive_shut && socket.has_socket);
    assert_eq!((socket.release, socket.error), (Release::Yes, 104));
    assert_eq!(socket.user_timeout.unwrap().get(), 1500);
}

#[test]
fn addresses_of_ipv6_are_kept_and_mapped_ones_are_shown_as_ipv4() {
    let mut record = state_changed();
    record.tuple.family = 10;
    record.tuple.local_address = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    record.tuple.peer_address = "::ffff:192.0.2.7"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let Body::StateChanged {
        ends: Some(ends), ..
    } = decode(record.as_bytes()).body
    else {
        panic!("no ends");
    };
    assert_eq!(ends.local.to_string(), "[fd00::1]:443");
    assert_eq!(ends.peer.to_string(), "192.0.2.7:50000");
}

#[test]
fn ends_that_are_not_set_or_of_no_ip_family_are_none() {
    for (family, ports) in [(2, 0), (1, 80), (0, 0)] {
        let mut record = state_changed();
        (
            record.tuple.family,
            record.tuple.local_port,
            record.tuple.peer_port,
        ) = (family, ports, ports);
        let Body::StateChanged { ends, .. } = decode(record.as_bytes()).body else {
            panic!("no state change");
        };
        assert_eq!(ends, None);
    }
}

#[test]
fn a_name_that_is_not_utf8_is_replaced() {
    let mut record = state_changed();
    record.task.comm = [0xff; 16];
    let Body::StateChanged { task, .. } = decode(record.as_bytes()).body else {
        panic!("no state change");
    };
    assert_eq!(&*task.comm, "?".repeat(16));
}

#[test]
fn reset_reasons_have_names() {
    let mut record = wire::ResetSent {
        header: header::<wire::ResetSent>(Kind::ResetSent),
        reason: 11,
        state: 7,
        padding: [0; 3],
    };
    let name = |record: &wire::ResetSent| match decode(record.as_bytes()).body {
        Body::ResetSent {
            reason,
            state: Some(State::Close),
        } => reason.map(|reason| reason.name),
        body => panic!("{body:?}"),
    };
    assert_eq!(name(&record).as_deref(), Some("tcp_abort_on_close"));
    record.reason = 999;
    assert_eq!(name(&record).as_deref(), Some("unnamed"));
    record.reason = flag::NO_REASON;
    assert_eq!(name(&record), None);
}

#[test]
fn an_answered_segment_was_for_nobody_a_handshake_a_socket_or_a_minisock() {
    let target = |state: u8| {
        let record = wire::ResetReplied {
            header: header::<wire::ResetReplied>(Kind::ResetReplied),
            state,
            reason: flag::NO_REASON,
            ..wire::ResetReplied::default()
        };
        match decode(record.as_bytes()).body {
            Body::ResetReplied {
                target,
                reason: None,
            } => target,
            body => panic!("{body:?}"),
        }
    };
    assert_eq!(target(0), ReplyTarget::Nobody);
    assert_eq!(target(12), ReplyTarget::Handshake { netns: 0 });
    assert_eq!(target(10), ReplyTarget::Handshake { netns: 0 });
    assert_eq!(
        target(6),
        ReplyTarget::Minisock {
            ends: None,
            netns: 0
        }
    );
    assert_eq!(
        target(7),
        ReplyTarget::Socket {
            state: State::Close,
            ends: None,
            netns: 0
        }
    );
}

#[test]
fn what_a_minisock_does_is_told() {
    let answered = wire::MinisockAnswered {
        header: header::<wire::MinisockAnswered>(Kind::MinisockAnswered),
        answer: 1,
        substate: 5,
        segment_is_reset: flag::UNKNOWN,
        padding: [0; 2],
    };
    assert_eq!(
        decode(answered.as_bytes()).body,
        Body::MinisockAnswered {
            answer: Some(TwStatus::Reset),
            substate: Substate::FinWait2,
            segment_is_reset: None,
        }
    );
    let ended = wire::MinisockEnded {
        header: header::<wire::MinisockEnded>(Kind::MinisockEnded),
        substate: 7,
        ..wire::MinisockEnded::default()
    };
    let odd = DecodeError::State {
        kind: Kind::MinisockEnded as u16,
        state: 7,
    };
    assert_eq!(decoder().decode(ended.as_bytes()), Err(odd));
}

#[test]
fn odd_records_are_named() {
    let record = state_changed();
    let bytes = record.as_bytes();
    assert_eq!(decoder().decode(&bytes[..23]), Err(DecodeError::Short(23)));
    let size = |got| {
        Err(DecodeError::Size {
            kind: 1,
            expected: 168,
            got,
        })
    };
    assert_eq!(decoder().decode(&bytes[..167]), size(167));
    let long = [bytes, &[0; 8]].concat();
    assert_eq!(decoder().decode(&long), size(176));
    let mut claims = record;
    claims.header.size = 100;
    assert_eq!(decoder().decode(claims.as_bytes()), size(100));
    let mut unknown = record;
    unknown.header.kind = 77;
    assert_eq!(
        decoder().decode(unknown.as_bytes()),
        Err(DecodeError::UnknownKind(77))
    );
    let mut state = record;
    state.new_state = 13;
    let odd = DecodeError::State { kind: 1, state: 13 };
    assert_eq!(decoder().decode(state.as_bytes()), Err(odd));
    assert_eq!(
        odd.to_string(),
        "a record of kind 1 carries the state 13, which TCP does not have"
    );
}

/// A record of this kind with every byte behind the header arbitrary, but for states.
fn record_of(kind: Kind, filling: u8) -> Vec<u8> {
    let size = match kind {
        Kind::StateChanged => size_of::<wire::StateChanged>(),
        Kind::CloseCalled => size_of::<wire::CloseCalled>(),
        Kind::ResetSent => size_of::<wire::ResetSent>(),
        Kind::ResetReplied => size_of::<wire::ResetReplied>(),
        Kind::ResetReceived => size_of::<wire::ResetReceived>(),
        Kind::Disconnected | Kind::Aborted | Kind::Forgotten => size_of::<wire::Teardown>(),
        Kind::MinisockStarted => size_of::<wire::MinisockStarted>(),
        Kind::MinisockAnswered => size_of::<wire::MinisockAnswered>(),
        Kind::MinisockEnded => size_of::<wire::MinisockEnded>(),
        Kind::Destroyed => size_of::<wire::Destroyed>(),
        Kind::Accepted => size_of::<wire::Accepted>(),
    };
    let mut header = header::<wire::Header>(kind);
    header.size = u16::try_from(size).unwrap();
    let mut record = header.as_bytes().to_vec();
    record.resize(size, filling);
    record
}

fn kind_of(body: &Body) -> Kind {
    match body {
        Body::StateChanged { .. } => Kind::StateChanged,
        Body::CloseCalled { .. } => Kind::CloseCalled,
        Body::ResetSent { .. } => Kind::ResetSent,
        Body::ResetReplied { .. } => Kind::ResetReplied,
        Body::ResetReceived { .. } => Kind::ResetReceived,
        Body::Disconnected { .. } => Kind::Disconnected,
        Body::Aborted { .. } => Kind::Aborted,
        Body::Forgotten { .. } => Kind::Forgotten,
        Body::MinisockStarted { .. } => Kind::MinisockStarted,
        Body::MinisockAnswered { .. } => Kind::MinisockAnswered,
        Body::MinisockEnded { .. } => Kind::MinisockEnded,
        Body::Destroyed => Kind::Destroyed,
        Body::Accepted { .. } => Kind::Accepted,
    }
}

#[test]
fn every_kind_comes_out_as_itself() {
    for kind in Kind::ALL {
        // 5 and 6 are states and substates alike.
        for filling in [5, 6] {
            let event = decode(&record_of(kind, filling));
            assert_eq!(kind_of(&event.body), kind);
            assert_eq!(
                (event.at, event.cpu, event.sock),
                (Timestamp(42), 3, SockId(0xffff_8880))
            );
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        drop(decoder().decode(&bytes));
    }

    #[test]
    fn no_body_of_a_known_kind_makes_it_panic(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        body in proptest::collection::vec(any::<u8>(), 200),
    ) {
        let mut record = record_of(kind, 0);
        for (byte, arbitrary) in record.iter_mut().skip(24).zip(body) {
            *byte = arbitrary;
        }
        match decoder().decode(&record) {
            Ok(event) => prop_assert_eq!(kind_of(&event.body), kind),
            Err(DecodeError::State { kind: odd, .. }) => prop_assert_eq!(odd, kind as u16),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

/// The record with a stack behind it that says it has so many bytes.
fn with_stack(bytes: i64) -> Vec<u8> {
    let mut record = state_changed();
    record.header.size = u16::try_from(size_of::<wire::StateChanged>() + 392).unwrap();
    let mut stack = wire::Stack {
        bytes,
        frames: [0xff; wire::Stack::FRAMES],
    };
    stack.frames[..2].copy_from_slice(&[0x5500, 0x5600]);
    [record.as_bytes(), stack.as_bytes()].concat()
}

#[test]
fn a_stack_behind_a_record_is_told_with_it() {
    let plain = decode(state_changed().as_bytes());
    let event = decode(&with_stack(16));
    assert_eq!(event.stack.as_deref(), Some(&[0x5500, 0x5600][..]));
    assert_eq!((plain.stack, plain.body), (None, event.body));
}

#[test]
fn what_the_kernel_could_not_read_is_no_stack() {
    for bytes in [0, -14, i64::MIN, 393, i64::MAX] {
        assert_eq!(decode(&with_stack(bytes)).stack, None, "{bytes}");
    }
    let whole = decode(&with_stack(384)).stack.unwrap();
    assert_eq!(whole.len(), wire::Stack::FRAMES);
}

#[test]
fn a_record_with_a_stack_that_is_cut_off_is_refused() {
    let record = with_stack(16);
    let error = decoder().decode(&record[..record.len() - 8]).unwrap_err();
    assert!(
        matches!(error, DecodeError::Size { got: 560, .. }),
        "{error}"
    );
}
