//! The parts of a record in the agent's words.
//!
//! Takes wire structs and numbers; gives the types of [`super::parts`]. Kernel numbers end
//! here: nothing after it knows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use observer_ebpf::wire::{self, flag};

use super::{
    Comm, DecodeError, Ends, Release, ResetReason, Sequences, Socket, State, Substate, Task,
    Vocabulary,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const RCV_SHUTDOWN: u8 = 1;
const SEND_SHUTDOWN: u8 = 2;

#[inline]
pub(super) fn state_of(kind: u16, state: u8) -> Result<State, DecodeError> {
    State::from_number(state).ok_or(DecodeError::State { kind, state })
}

#[inline]
pub(super) fn substate_of(kind: u16, state: u8) -> Result<Substate, DecodeError> {
    match State::from_number(state) {
        Some(State::FinWait2) => Ok(Substate::FinWait2),
        Some(State::TimeWait) => Ok(Substate::TimeWait),
        _ => Err(DecodeError::State { kind, state }),
    }
}

#[inline]
pub(super) fn task_of(task: &wire::Task) -> Task {
    Task {
        pid: task.pid,
        comm: Comm::new(task.comm),
        exiting: task.flags & flag::EXITING != 0,
    }
}

/// The frames that the kernel told; `None` if it told none.
pub(super) fn stack_of(stack: &wire::Stack) -> Option<Box<[u64]>> {
    let bytes = usize::try_from(stack.bytes).ok()?;
    let frames = stack.frames.get(..bytes / size_of::<u64>())?;
    (!frames.is_empty()).then(|| frames.into())
}

/// Both ends, once the kernel has set at least one port.
#[inline]
pub(super) fn tuple_of(tuple: &wire::Tuple) -> Option<Ends> {
    if tuple.local_port == 0 && tuple.peer_port == 0 {
        return None;
    }
    let local = address_of(tuple.family, tuple.local_address)?;
    let peer = address_of(tuple.family, tuple.peer_address)?;
    Some(Ends {
        local: SocketAddr::new(local, tuple.local_port),
        peer: SocketAddr::new(peer, tuple.peer_port),
    })
}

fn address_of(family: u16, bytes: [u8; 16]) -> Option<IpAddr> {
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Some(Ipv4Addr::new(a, b, c, d).into())
        }
        AF_INET6 => Some(Ipv6Addr::from(bytes).to_canonical()),
        _ => None,
    }
}

#[inline]
pub(super) fn truth_of(byte: u8) -> Option<bool> {
    match byte {
        flag::NO => Some(false),
        flag::YES => Some(true),
        _ => None,
    }
}

/// The names of reset reasons, each shared by all events that tell it.
#[derive(Debug)]
pub(super) struct Reasons {
    known: Vec<ResetReason>,
    unnamed: Arc<str>,
}

impl Reasons {
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        let known = vocabulary.reset_reasons.iter();
        let known = known.map(|(number, name)| ResetReason {
            number: *number,
            name: Arc::from(&**name),
        });
        Self {
            known: known.collect(),
            unnamed: Arc::from("unnamed"),
        }
    }

    pub(super) fn of(&self, number: u32) -> Option<ResetReason> {
        if number == flag::NO_REASON {
            return None;
        }
        let known = self.known.iter().find(|it| it.number == number).cloned();
        Some(known.unwrap_or_else(|| ResetReason {
            number,
            name: Arc::clone(&self.unnamed),
        }))
    }
}

#[inline]
pub(super) fn socket_of(snapshot: &wire::Snapshot, vocabulary: &Vocabulary) -> Socket {
    let has = |bit: u8| snapshot.sk_flags.checked_shr(bit.into()).unwrap_or(0) & 1 != 0;
    let marked = |mark: u8| snapshot.marks & mark != 0;
    Socket {
        sequences: Sequences {
            rcv_nxt: snapshot.rcv_nxt,
            copied_seq: snapshot.copied_seq,
            snd_nxt: snapshot.snd_nxt,
            snd_una: snapshot.snd_una,
            write_seq: snapshot.write_seq,
            snd_wnd: snapshot.snd_wnd,
        },
        error: snapshot.error,
        soft_error: snapshot.soft_error,
        receive_shut: snapshot.shutdown & RCV_SHUTDOWN != 0,
        send_shut: snapshot.shutdown & SEND_SHUTDOWN != 0,
        dead: has(vocabulary.sock_dead),
        done: has(vocabulary.sock_done),
        keepalive: has(vocabulary.sock_keepopen),
        linger: has(vocabulary.sock_linger).then_some(snapshot.linger_time),
        linger2: snapshot.linger2,
        user_timeout: NonZeroU32::new(snapshot.user_timeout_ms),
        repair: marked(flag::REPAIR),
        subflow: marked(flag::SUBFLOW),
        hashed: marked(flag::HASHED_KNOWN).then(|| marked(flag::HASHED)),
        write_timer: marked(flag::WRITE_TIMER),
        retransmits: snapshot.retransmits,
        probes: snapshot.probes,
        has_socket: marked(flag::HAS_SOCKET),
        release: match (marked(flag::RELEASING_KNOWN), marked(flag::RELEASING)) {
            (false, _) => Release::Unknown,
            (true, true) => Release::Yes,
            (true, false) => Release::No,
        },
    }
}
