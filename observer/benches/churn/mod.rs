//! Records of connections that come and go, as the ring gives them.
//!
//! Gives both ends of each connection over loopback: the client connects and closes first, the
//! server follows, and a minisock ends the client's part. Many are under way at once, and the
//! next round reuses their addresses.

use observer_ebpf::wire::{self, Kind, flag};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Records of one connection, both ends together.
const STEPS: usize = 17;

/// Connections that begin between two steps of one connection.
const APART: usize = 24;

/// Between two records.
const NANOS: u64 = 1_000;

/// Between two steps of a connection that is opened after the one before.
const PAUSE: u64 = 1_000_000_000;

const SYN_SENT: u8 = 2;
const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;

/// Bits of `sk_flags` in mainline kernels.
const DEAD: u32 = 1;
const DONE: u32 = 2;

/// One round of records.
#[derive(Debug)]
pub(crate) struct Churn {
    /// All records behind each other; each begins at a multiple of 8 bytes.
    bytes: Vec<u8>,
    /// Where each begins, and one more.
    starts: Vec<usize>,
    now: u64,
}

/// Ends of a connection, and what kernel memory they take.
#[derive(Clone, Copy)]
struct Pair(u32);

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

impl Churn {
    /// A round of so many connections.
    pub(crate) fn new(connections: u32) -> Self {
        let mut churn = Self {
            bytes: Vec::new(),
            starts: Vec::new(),
            now: 1_000_000_000,
        };
        let mut order: Vec<(usize, u32, usize)> = Vec::new();
        for (index, pair) in (0..connections).enumerate() {
            order.extend((0..STEPS).map(|step| (index + step * APART, pair, step)));
        }
        order.sort_unstable();
        for (_, pair, step) in order {
            churn.starts.push(churn.bytes.len());
            record(Pair(pair), step, &mut churn.bytes);
        }
        churn.starts.push(churn.bytes.len());
        churn
    }

    /// Makes it the next round: all times are later.
    pub(crate) fn advance(&mut self) {
        for start in self.starts.iter().take(self.starts.len() - 1) {
            self.now += NANOS;
            stamp(self.bytes.get_mut(*start..).unwrap_or_default(), self.now);
        }
    }

    /// The records in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let both = self.starts.iter().zip(self.starts.iter().skip(1));
        both.filter_map(|(start, end)| self.bytes.get(*start..*end))
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }
}

/// Sets when a record was made.
fn stamp(record: &mut [u8], at: u64) {
    if let Ok((header, _)) = wire::Header::mut_from_prefix(record) {
        header.at_ns = at;
    }
}

/// So many first steps of each of these connections, one connection after the other.
pub(crate) fn opened(connections: std::ops::Range<u32>, steps: usize) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for pair in connections {
        for step in 0..steps {
            let mut bytes = Vec::new();
            record(Pair(pair), step, &mut bytes);
            stamp(&mut bytes, u64::from(pair) * NANOS + step as u64 * PAUSE);
            records.push(bytes);
        }
    }
    records
}

impl Pair {
    /// A full socket of an end: the kernel's slab gives them out far apart.
    fn sock(self, side: Side) -> u64 {
        let place = u64::from(self.0.wrapping_mul(2_654_435_761));
        0xffff_8880_0000_0000 + place * 0x1000 + if side == Side::Client { 0 } else { 0x980 }
    }

    fn minisock(self) -> u64 {
        0xffff_8990_0000_0000 + u64::from(self.0) * 0x100
    }

    fn tuple(self, side: Side) -> wire::Tuple {
        let mut address = [0; 16];
        address[0] = 127;
        address[3] = 1;
        let mut other = address;
        // More connections than there are ports go to more addresses.
        other[1] = u8::try_from(self.0 / 28_000).unwrap_or(u8::MAX);
        let port = 32_768 + u16::try_from(self.0 % 28_000).unwrap_or(0);
        let (local, peer) = ((address, port), (other, 443));
        let (local, peer) = match side {
            Side::Client => (local, peer),
            Side::Server => (peer, local),
        };
        wire::Tuple {
            local_address: local.0,
            peer_address: peer.0,
            family: 2,
            local_port: local.1,
            peer_port: peer.1,
            netns: 4_026_531_840,
            ..wire::Tuple::default()
        }
    }
}

fn task(pid: u32, name: &str) -> wire::Task {
    let mut comm = [0; 16];
    for (byte, of_name) in comm.iter_mut().zip(name.bytes()) {
        *byte = of_name;
    }
    wire::Task {
        pid,
        flags: 0,
        comm,
    }
}

fn header<T>(kind: Kind, sock: u64) -> wire::Header {
    wire::Header {
        kind: kind as u16,
        size: u16::try_from(size_of::<T>()).unwrap_or(0),
        cpu: 1,
        at_ns: 0,
        sock,
    }
}

/// The record of one step in the life of both ends.
fn record(pair: Pair, step: usize, out: &mut Vec<u8>) {
    use Side::{Client, Server};
    let mut change = |side, old, new, flags| {
        out.extend_from_slice(changed(pair, side, (old, new), flags).as_bytes());
    };
    match step {
        0 => change(Client, CLOSE, SYN_SENT, 0),
        1 => change(Server, SYN_RECV, ESTABLISHED, 0),
        2 => change(Client, SYN_SENT, ESTABLISHED, 0),
        5 => change(Client, ESTABLISHED, FIN_WAIT1, 0),
        6 => change(Server, ESTABLISHED, CLOSE_WAIT, DONE),
        7 => change(Client, FIN_WAIT1, FIN_WAIT2, DEAD),
        9 => change(Client, FIN_WAIT2, CLOSE, DEAD),
        12 => change(Server, CLOSE_WAIT, LAST_ACK, DONE),
        14 => change(Server, LAST_ACK, CLOSE, DEAD | DONE),
        3 => out.extend_from_slice(
            wire::Accepted {
                header: header::<wire::Accepted>(Kind::Accepted, pair.sock(Server)),
                task: task(4321, "nginx"),
            }
            .as_bytes(),
        ),
        4 => out.extend_from_slice(close_called(pair, Client).as_bytes()),
        11 => out.extend_from_slice(close_called(pair, Server).as_bytes()),
        10 => out.extend_from_slice(destroyed(pair, Client).as_bytes()),
        15 => out.extend_from_slice(destroyed(pair, Server).as_bytes()),
        _ => minisock(pair, step, out),
    }
}

fn minisock(pair: Pair, step: usize, out: &mut Vec<u8>) {
    match step {
        8 => out.extend_from_slice(
            wire::MinisockStarted {
                header: header::<wire::MinisockStarted>(
                    Kind::MinisockStarted,
                    pair.sock(Side::Client),
                ),
                minisock: pair.minisock(),
                substate: FIN_WAIT2,
                padding: [0; 7],
            }
            .as_bytes(),
        ),
        13 => out.extend_from_slice(
            wire::MinisockAnswered {
                header: header::<wire::MinisockAnswered>(Kind::MinisockAnswered, pair.minisock()),
                answer: 2,
                substate: TIME_WAIT,
                segment_is_reset: flag::NO,
                padding: [0; 2],
            }
            .as_bytes(),
        ),
        _ => out.extend_from_slice(
            wire::MinisockEnded {
                header: header::<wire::MinisockEnded>(Kind::MinisockEnded, pair.minisock()),
                task: task(0, "swapper/1"),
                substate: TIME_WAIT,
                expired: flag::YES,
                padding: [0; 2],
                netns: 4_026_531_840,
            }
            .as_bytes(),
        ),
    }
}

fn changed(pair: Pair, side: Side, states: (u8, u8), sk_flags: u32) -> wire::StateChanged {
    let in_close = matches!(states.1, FIN_WAIT1 | LAST_ACK);
    let by = match side {
        Side::Client => task(99, "curl"),
        Side::Server => task(4321, "nginx"),
    };
    // What the peer's segment does, it does to whoever runs.
    let runs = match states.1 {
        SYN_SENT | FIN_WAIT1 | LAST_ACK => by,
        CLOSE => task(0, "swapper/1"),
        _ => task(0, ""),
    };
    let marks = flag::RELEASING_KNOWN | flag::HASHED_KNOWN | flag::HAS_SOCKET;
    wire::StateChanged {
        header: header::<wire::StateChanged>(Kind::StateChanged, pair.sock(side)),
        task: runs,
        tuple: pair.tuple(side),
        snapshot: wire::Snapshot {
            cgroup: 77,
            rcv_nxt: 1_000,
            copied_seq: 1_000,
            snd_nxt: 2_000,
            snd_una: 2_000,
            write_seq: 2_000,
            snd_wnd: 65_535,
            sk_flags,
            shutdown: if in_close { 3 } else { 0 },
            marks: if in_close {
                marks | flag::RELEASING
            } else {
                marks
            },
            ..wire::Snapshot::default()
        },
        old_state: states.0,
        new_state: states.1,
        padding: [0; 6],
    }
}

fn close_called(pair: Pair, side: Side) -> wire::CloseCalled {
    wire::CloseCalled {
        header: header::<wire::CloseCalled>(Kind::CloseCalled, pair.sock(side)),
        task: match side {
            Side::Client => task(99, "curl"),
            Side::Server => task(4321, "nginx"),
        },
        timeout: 0,
    }
}

fn destroyed(pair: Pair, side: Side) -> wire::Destroyed {
    wire::Destroyed {
        header: header::<wire::Destroyed>(Kind::Destroyed, pair.sock(side)),
    }
}
