//! Bytes to events.
//!
//! Takes one ring record as `observer_ebpf::wire` lays it out; gives an [`Event`] or the
//! reason why it is none. Never panics and never reads past the record.

use std::num::NonZeroU64;

use observer_ebpf::wire::{self, Kind};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::translate::{Reasons, stack_of, state_of, substate_of, task_of, truth_of, tuple_of};
use super::{Body, Event, ReplyTarget, SockId, State, Timestamp, Vocabulary, translate};

/// Turns ring records into events.
#[derive(Debug)]
pub struct Decoder {
    vocabulary: Vocabulary,
    reasons: Reasons,
}

/// Why a record is not an event. Counted, never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("a record of {0} bytes is shorter than its header")]
    Short(usize),
    /// A kind that this agent does not know.
    #[error("a record of unknown kind {0}")]
    UnknownKind(u16),
    /// A size that does not fit the kind.
    #[error("a record of kind {kind} has {got} bytes, not {expected}")]
    Size {
        /// The kind's number.
        kind: u16,
        /// The size that the kind has.
        expected: usize,
        /// The size that the record has, or that its header claims.
        got: usize,
    },
    /// A state number that TCP does not have.
    #[error("a record of kind {kind} carries the state {state}, which TCP does not have")]
    State {
        /// The kind's number.
        kind: u16,
        /// The state's number.
        state: u8,
    },
}

impl Decoder {
    /// A decoder for the kernel that this vocabulary was read from.
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self {
            reasons: Reasons::new(&vocabulary),
            vocabulary,
        }
    }

    /// Decodes one record.
    #[inline]
    pub fn decode(&self, record: &[u8]) -> Result<Event, DecodeError> {
        let (header, _) = wire::Header::read_from_prefix(record)
            .map_err(|_short| DecodeError::Short(record.len()))?;
        let kind = Kind::from_number(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
        let (record, header, stack) = match kind {
            Kind::StateChanged => without_stack::<wire::StateChanged>(record, header),
            Kind::Accepted => without_stack::<wire::Accepted>(record, header),
            Kind::CloseCalled
            | Kind::ResetSent
            | Kind::ResetReplied
            | Kind::ResetReceived
            | Kind::Disconnected
            | Kind::Aborted
            | Kind::Forgotten
            | Kind::MinisockStarted
            | Kind::MinisockAnswered
            | Kind::MinisockEnded
            | Kind::Destroyed => (record, header, None),
        };
        let body = match kind {
            Kind::StateChanged => read(record, header, |it| self.state_changed(it)),
            Kind::CloseCalled => read(record, header, |it| Ok(close_called(it))),
            Kind::ResetSent => read(record, header, |it| self.reset_sent(it)),
            Kind::ResetReplied => read(record, header, |it| self.reset_replied(it)),
            Kind::ResetReceived => read(record, header, reset_received),
            Kind::Disconnected => read(record, header, disconnected),
            Kind::Aborted => read(record, header, aborted),
            Kind::Forgotten => read(record, header, |it| Ok(forgotten(it))),
            Kind::MinisockStarted => read(record, header, minisock_started),
            Kind::MinisockAnswered => read(record, header, |it| self.minisock_answered(it)),
            Kind::MinisockEnded => read(record, header, minisock_ended),
            Kind::Destroyed => read(record, header, |_: &wire::Destroyed| Ok(Body::Destroyed)),
            Kind::Accepted => read(record, header, |it| Ok(accepted(it))),
        }?;
        Ok(Event {
            at: Timestamp(header.at_ns),
            cpu: header.cpu,
            sock: SockId(header.sock),
            body,
            stack,
        })
    }

    #[inline]
    fn state_changed(&self, record: &wire::StateChanged) -> Result<Body, DecodeError> {
        let kind = record.header.kind;
        let (old, new) = (
            state_of(kind, record.old_state)?,
            state_of(kind, record.new_state)?,
        );
        Ok(Body::StateChanged {
            old,
            new,
            task: task_of(&record.task),
            ends: tuple_of(&record.tuple),
            netns: record.tuple.netns,
            cgroup: NonZeroU64::new(record.snapshot.cgroup),
            cookie: NonZeroU64::new(record.snapshot.cookie),
            socket: translate::socket_of(&record.snapshot, &self.vocabulary),
        })
    }

    fn reset_sent(&self, record: &wire::ResetSent) -> Result<Body, DecodeError> {
        Ok(Body::ResetSent {
            reason: self.reasons.of(record.reason),
            state: Some(state_of(record.header.kind, record.state)?),
        })
    }

    fn reset_replied(&self, record: &wire::ResetReplied) -> Result<Body, DecodeError> {
        let (ends, netns) = (tuple_of(&record.tuple), record.tuple.netns);
        let target = if record.state == 0 {
            ReplyTarget::Nobody
        } else {
            match state_of(record.header.kind, record.state)? {
                State::NewSynRecv | State::Listen => ReplyTarget::Handshake { netns },
                State::TimeWait => ReplyTarget::Minisock { ends, netns },
                state @ (State::Established
                | State::SynSent
                | State::SynRecv
                | State::FinWait1
                | State::FinWait2
                | State::Close
                | State::CloseWait
                | State::LastAck
                | State::Closing) => ReplyTarget::Socket { state, ends, netns },
            }
        };
        Ok(Body::ResetReplied {
            reason: self.reasons.of(record.reason),
            target,
        })
    }

    fn minisock_answered(&self, record: &wire::MinisockAnswered) -> Result<Body, DecodeError> {
        Ok(Body::MinisockAnswered {
            answer: self.vocabulary.tw_status(record.answer),
            substate: substate_of(record.header.kind, record.substate)?,
            segment_is_reset: truth_of(record.segment_is_reset),
        })
    }
}

/// Looks at a record where it lies. The ring aligns records; one from elsewhere is copied.
#[inline]
fn read<T: FromBytes + KnownLayout + Immutable>(
    record: &[u8],
    header: wire::Header,
    body: impl FnOnce(&T) -> Result<Body, DecodeError>,
) -> Result<Body, DecodeError> {
    let expected = size_of::<T>();
    let size = |got| DecodeError::Size {
        kind: header.kind,
        expected,
        got,
    };
    if usize::from(header.size) != expected {
        return Err(size(usize::from(header.size)));
    }
    if let Ok(record) = T::ref_from_bytes(record) {
        return body(record);
    }
    let copy = T::read_from_bytes(record).map_err(|_size| size(record.len()))?;
    body(&copy)
}

/// Splits a record off the stack behind it, if there is one; the header is then that of the
/// record alone.
fn without_stack<T>(
    record: &[u8],
    header: wire::Header,
) -> (&[u8], wire::Header, Option<Box<[u64]>>) {
    let size = size_of::<T>();
    let both = size + size_of::<wire::Stack>();
    let split = record.split_at_checked(size);
    let is_both = usize::from(header.size) == both && record.len() == both;
    let Some((record, rest)) = split.filter(|_| is_both) else {
        return (record, header, None);
    };
    let stack = wire::Stack::read_from_bytes(rest).ok();
    let header = wire::Header {
        size: u16::try_from(size).unwrap_or_default(),
        ..header
    };
    (record, header, stack.as_ref().and_then(stack_of))
}

#[inline]
fn close_called(record: &wire::CloseCalled) -> Body {
    Body::CloseCalled {
        task: task_of(&record.task),
        timeout: record.timeout,
    }
}

fn reset_received(record: &wire::ResetReceived) -> Result<Body, DecodeError> {
    Ok(Body::ResetReceived {
        segment_is_reset: truth_of(record.segment_is_reset),
        state: Some(state_of(record.header.kind, record.state)?),
    })
}

fn disconnected(record: &wire::Teardown) -> Result<Body, DecodeError> {
    Ok(Body::Disconnected {
        task: task_of(&record.task),
        state: Some(state_of(record.header.kind, record.state)?),
        has_socket: record.marks & wire::flag::HAS_SOCKET != 0,
    })
}

fn aborted(record: &wire::Teardown) -> Result<Body, DecodeError> {
    Ok(Body::Aborted {
        task: task_of(&record.task),
        state: Some(state_of(record.header.kind, record.state)?),
    })
}

fn forgotten(record: &wire::Teardown) -> Body {
    Body::Forgotten {
        task: task_of(&record.task),
    }
}

#[inline]
fn minisock_started(record: &wire::MinisockStarted) -> Result<Body, DecodeError> {
    Ok(Body::MinisockStarted {
        minisock: SockId(record.minisock),
        substate: substate_of(record.header.kind, record.substate)?,
    })
}

#[inline]
fn minisock_ended(record: &wire::MinisockEnded) -> Result<Body, DecodeError> {
    Ok(Body::MinisockEnded {
        substate: substate_of(record.header.kind, record.substate)?,
        expired: truth_of(record.expired),
        netns: record.netns,
        task: task_of(&record.task),
    })
}

#[inline]
fn accepted(record: &wire::Accepted) -> Body {
    Body::Accepted {
        task: task_of(&record.task),
    }
}
