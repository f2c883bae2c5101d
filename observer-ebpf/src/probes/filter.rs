//! Which connections are worth a record.
//!
//! Takes a socket; gives whether the filters that the agent was given let its connection
//! through. They are constants to the verifier, which takes out those that nobody set.
//!
//! What does not change in a connection's life decides, so that all of it is told or nothing.
//! A socket without a peer is of no connection, or not any more (a connect that failed takes its
//! peer away before close), and is let through by what asks for ends: the agent knows whether it
//! followed it.

use aya_ebpf::Global;
use observer_ebpf::wire::settings::{ABSENT, CGROUP_LEVELS, FILTER_SLOTS, NETWORK_WORDS};

use super::fill::{self, AF_INET6, state};
use super::kernel::{self, Pointer, Read, copy, read};

/// Not 0: some filter is set.
#[unsafe(no_mangle)]
static FILTERS: Global<u32> = Global::new(0);

#[unsafe(no_mangle)]
static FILTER_PORTS: [Global<u32>; FILTER_SLOTS] = [const { Global::new(0) }; FILTER_SLOTS];

#[unsafe(no_mangle)]
static FILTER_NETWORKS: [Network; FILTER_SLOTS] =
    [const { [const { Global::new(0) }; NETWORK_WORDS] }; FILTER_SLOTS];

#[unsafe(no_mangle)]
static FILTER_NETNS: [Global<u32>; FILTER_SLOTS] = [const { Global::new(0) }; FILTER_SLOTS];

#[unsafe(no_mangle)]
static FILTER_CGROUPS: [Global<u64>; FILTER_SLOTS] = [const { Global::new(0) }; FILTER_SLOTS];

/// Not 0: connections of this host with itself are left out.
#[unsafe(no_mangle)]
static FILTER_LOOPBACK: Global<u32> = Global::new(0);

/// See [`NETWORK_WORDS`].
type Network = [Global<u32>; NETWORK_WORDS];

/// What an IPv6 address that stands for an IPv4 one has in its third word (RFC 4291 §2.5.5.2).
const MAPPED: u32 = 0xffff_u32.to_be();

/// An address, and its version of IP.
#[derive(Clone, Copy)]
struct Address {
    version: u32,
    words: [u32; 4],
}

/// Where a socket has the port of its own.
#[derive(Clone, Copy)]
enum LocalPort {
    /// In the common part; 0 before a port is chosen, and again once it is given back.
    Common,
    /// Where a full socket keeps it until it has another one.
    Kept,
}

/// Whether the filters let any socket through.
#[inline(always)]
pub(super) fn wants_all() -> bool {
    FILTERS.load() == 0
}

/// Whether the filters let a full socket's connection through.
///
/// # Safety
/// As for [`Read::read`], and the socket is a full one.
#[inline(always)]
pub(super) unsafe fn wants<R: Read>(sock: Pointer) -> bool {
    // SAFETY: the caller vouches for `sock`.
    wants_all() || unsafe { is_wanted::<R>(sock, LocalPort::Kept) && in_cgroup::<R>(sock) }
}

/// The same of one that is about to connect. What it kept is the port of an earlier connection.
///
/// # Safety
/// As for [`wants`].
#[inline(always)]
pub(super) unsafe fn wants_opening<R: Read>(sock: Pointer) -> bool {
    // SAFETY: the caller vouches for `sock`.
    wants_all() || unsafe { is_wanted::<R>(sock, LocalPort::Common) && in_cgroup::<R>(sock) }
}

/// The same of a minisock or a request, neither of which has a cgroup.
///
/// # Safety
/// As for [`Read::read`].
#[inline(always)]
pub(super) unsafe fn wants_remnant<R: Read>(sock: Pointer) -> bool {
    // SAFETY: the caller vouches for `sock`; every sort starts with a `sock_common`.
    wants_all() || unsafe { is_wanted::<R>(sock, LocalPort::Common) }
}

/// The same of a socket of any sort in the state of this number.
///
/// # Safety
/// As for [`Read::read`].
#[inline(always)]
pub(super) unsafe fn wants_any<R: Read>(sock: Pointer, number: u8) -> bool {
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if fill::is_full(number) {
            wants::<R>(sock)
        } else {
            wants_remnant::<R>(sock)
        }
    }
}

#[inline(always)]
unsafe fn is_wanted<R: Read>(sock: Pointer, local_port: LocalPort) -> bool {
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if !in_netns::<R>(sock) {
            return false;
        }
        let peer_port = u32::from(u16::from_be(R::read(sock, &kernel::SKC_DPORT)));
        if peer_port == 0 && fill::state_of::<R>(sock) != state::LISTEN {
            return true;
        }
        has_port::<R>(sock, peer_port, local_port) && has_address::<R>(sock)
    }
}

#[inline(always)]
unsafe fn has_port<R: Read>(sock: Pointer, peer_port: u32, local_port: LocalPort) -> bool {
    let [first, ..] = &FILTER_PORTS;
    if first.load() == 0 || is_one(&FILTER_PORTS, peer_port) {
        return true;
    }
    let local_port = match local_port {
        // SAFETY: the caller vouches for `sock`.
        LocalPort::Common => unsafe { R::read::<u16>(sock, &kernel::SKC_NUM) },
        LocalPort::Kept => {
            // SAFETY: as above; a hook's own argument is what full sockets are here.
            let tcp = unsafe { R::tcp(sock) };
            if tcp.is_null() {
                return false;
            }
            // SAFETY: `tcp` is a full TCP socket.
            u16::from_be(unsafe { R::read(tcp, &kernel::INET_SPORT) })
        }
    };
    is_one(&FILTER_PORTS, u32::from(local_port))
}

#[inline(always)]
unsafe fn in_netns<R: Read>(sock: Pointer) -> bool {
    let [first, ..] = &FILTER_NETNS;
    // SAFETY: the caller vouches for `sock`.
    first.load() == 0 || is_one(&FILTER_NETNS, unsafe { fill::netns::<R>(sock) })
}

#[inline(always)]
fn is_one<T: Copy + Default + PartialEq>(wanted: &[Global<T>], value: T) -> bool {
    for one in wanted {
        let one = one.load();
        if one == T::default() {
            return false;
        }
        if one == value {
            return true;
        }
    }
    false
}

#[inline(always)]
unsafe fn has_address<R: Read>(sock: Pointer) -> bool {
    let [[version, ..], ..] = &FILTER_NETWORKS;
    let (anywhere, abroad) = (version.load() == 0, FILTER_LOOPBACK.load() != 0);
    if anywhere && !abroad {
        return true;
    }
    // SAFETY: the caller vouches for `sock`.
    let (local, peer) = unsafe { addresses::<R>(sock) };
    if abroad && is_here(local, peer) {
        return false;
    }
    anywhere || is_inside_one(local) || is_inside_one(peer)
}

/// Of this end and of the peer.
#[inline(always)]
unsafe fn addresses<R: Read>(sock: Pointer) -> (Address, Address) {
    // SAFETY: the caller vouches for `sock`.
    unsafe {
        if R::read::<u16>(sock, &kernel::SKC_FAMILY) == AF_INET6 {
            let (mut local, mut peer) = ([0_u32; 4], [0_u32; 4]);
            copy(&raw mut local, sock, &kernel::SKC_V6_RCV_SADDR);
            copy(&raw mut peer, sock, &kernel::SKC_V6_DADDR);
            (v6(local), v6(peer))
        } else {
            let local = R::read(sock, &kernel::SKC_RCV_SADDR);
            (v4(local), v4(R::read(sock, &kernel::SKC_DADDR)))
        }
    }
}

#[inline(always)]
fn v4(word: u32) -> Address {
    Address {
        version: 4,
        words: [0, 0, 0, word],
    }
}

#[inline(always)]
fn v6(words: [u32; 4]) -> Address {
    let [first, second, third, last] = words;
    if first | second == 0 && third == MAPPED {
        return v4(last);
    }
    Address { version: 6, words }
}

/// Whether this host talks to itself: at a loopback address, or from an address to the same.
#[inline(always)]
fn is_here(local: Address, peer: Address) -> bool {
    let [first, second, third, last] = peer.words;
    let somewhere = first | second | third | last != 0;
    is_loopback(local) || is_loopback(peer) || (somewhere && differences(local, peer) == 0)
}

#[inline(always)]
fn is_loopback(address: Address) -> bool {
    let [first, second, third, last] = address.words;
    let last = u32::from_be(last);
    if address.version == 4 {
        last >> 24 == 127
    } else {
        first | second | third == 0 && last == 1
    }
}

#[inline(always)]
fn differences(one: Address, other: Address) -> u32 {
    let mut differences = one.version ^ other.version;
    for (one, other) in one.words.iter().zip(other.words) {
        differences |= one ^ other;
    }
    differences
}

#[inline(always)]
fn is_inside_one(address: Address) -> bool {
    for [version, words @ ..] in &FILTER_NETWORKS {
        let version = version.load();
        if version == 0 {
            return false;
        }
        let (network, mask) = words.split_at(words.len() / 2);
        let mut differences = version ^ address.version;
        for ((word, network), mask) in address.words.iter().zip(network).zip(mask) {
            differences |= (word & mask.load()) ^ network.load();
        }
        if differences == 0 {
            return true;
        }
    }
    false
}

/// Whether the socket was made in a wanted cgroup or below one.
#[inline(always)]
unsafe fn in_cgroup<R: Read>(sock: Pointer) -> bool {
    let [first, ..] = &FILTER_CGROUPS;
    if first.load() == 0 {
        return true;
    }
    // The agent does not load the filter then, and the verifier would refuse what follows.
    if kernel::SK_CGROUP.load() == ABSENT || kernel::CGROUP_SELF.load() == ABSENT {
        return false;
    }
    // SAFETY: the caller vouches for `sock`.
    let mut group = unsafe { R::read::<u64>(sock, &kernel::SK_CGROUP) } as Pointer;
    let own_state = kernel::CGROUP_SELF.load() as usize;
    for _ in 0..CGROUP_LEVELS {
        if group.is_null() {
            return false;
        }
        let node = read::<u64>(group, &kernel::CGROUP_KN) as Pointer;
        if is_one(&FILTER_CGROUPS, read(node, &kernel::KERNFS_ID)) {
            return true;
        }
        let parent: u64 = read(group.wrapping_byte_add(own_state), &kernel::CSS_PARENT);
        if parent == 0 {
            return false;
        }
        group = (parent as Pointer).wrapping_byte_sub(own_state);
    }
    false
}
