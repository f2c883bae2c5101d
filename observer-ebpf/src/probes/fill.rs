//! Filling the parts of a record in place.
//!
//! Takes a pointer into the ring and a kernel object; gives a part with every byte written.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task,
};
use observer_ebpf::wire::settings::ABSENT;
use observer_ebpf::wire::{Snapshot, Task, Tuple, flag};

use super::kernel::{self, Offset, Pointer, Read, copy, read};

pub(super) const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
/// `PF_EXITING` of include/linux/sched.h.
const PF_EXITING: u32 = 4;

/// State numbers of include/net/tcp_states.h that the probes themselves look at.
pub(super) mod state {
    pub(in super::super) const ESTABLISHED: u8 = 1;
    pub(in super::super) const SYN_SENT: u8 = 2;
    pub(in super::super) const FIN_WAIT1: u8 = 4;
    pub(in super::super) const TIME_WAIT: u8 = 6;
    pub(in super::super) const CLOSE: u8 = 7;
    pub(in super::super) const LAST_ACK: u8 = 9;
    pub(in super::super) const LISTEN: u8 = 10;
    pub(in super::super) const NEW_SYN_RECV: u8 = 12;
}

/// Whether a socket in this state is a `struct sock`, not a minisock or a request.
#[inline(always)]
pub(super) fn is_full(number: u8) -> bool {
    number != state::TIME_WAIT && number != state::NEW_SYN_RECV
}

/// Whether a full socket speaks TCP.
///
/// # Safety
/// As for [`Read::read`], and the socket is a full one.
#[inline(always)]
pub(super) unsafe fn is_tcp<R: Read>(sock: Pointer) -> bool {
    // SAFETY: the caller vouches for `sock`.
    unsafe { R::read::<u16>(sock, &kernel::SK_PROTOCOL) == IPPROTO_TCP }
}

/// The state of a socket of any sort.
///
/// # Safety
/// As for [`Read::read`].
#[inline(always)]
pub(super) unsafe fn state_of<R: Read>(sock: Pointer) -> u8 {
    // SAFETY: the caller vouches for `sock`; every sort starts with a `sock_common`.
    unsafe { R::read(sock, &kernel::SKC_STATE) }
}

/// A task that nobody asks about.
#[inline(always)]
pub(super) fn no_task(part: *mut Task) {
    zero(part);
}

/// The task that this CPU runs.
#[inline(always)]
pub(super) fn task(part: *mut Task) {
    // SAFETY: `part` lies in a reserved record; the helpers check what they read.
    unsafe {
        (*part).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        let current = bpf_get_current_task() as Pointer;
        let flags: u32 = read(current, &kernel::TASK_FLAGS);
        (*part).flags = if flags & PF_EXITING == 0 {
            0
        } else {
            flag::EXITING
        };
        let comm = (&raw mut (*part).comm).cast::<c_void>();
        let _status = bpf_get_current_comm(comm, 16);
    }
}

/// The ends of a full socket (`port` is [`kernel::INET_SPORT`]) or of a minisock (`port` is
/// [`kernel::TW_SPORT`]).
///
/// # Safety
/// As for [`Read::read`]; `sock` is what [`Read::tcp`] gives, or a minisock.
#[inline(always)]
pub(super) unsafe fn tuple<R: Read>(part: *mut Tuple, sock: Pointer, port: &Offset) {
    // SAFETY: `part` lies in a reserved record; the caller vouches for `sock`.
    unsafe {
        no_tuple(part);
        let family: u16 = R::read(sock, &kernel::SKC_FAMILY);
        (*part).family = family;
        (*part).local_port = u16::from_be(R::read(sock, port));
        (*part).peer_port = u16::from_be(R::read(sock, &kernel::SKC_DPORT));
        if family == AF_INET6 {
            let local = &raw mut (*part).local_address;
            copy(local, sock, &kernel::SKC_V6_RCV_SADDR);
            let peer = &raw mut (*part).peer_address;
            copy(peer, sock, &kernel::SKC_V6_DADDR);
        } else {
            // The kernel keeps an IPv4 address in network order, as does the record.
            let words = part.cast::<u32>();
            words.write(R::read(sock, &kernel::SKC_RCV_SADDR));
            words
                .add(PEER_WORD)
                .write(R::read(sock, &kernel::SKC_DADDR));
        }
        (*part).netns = netns::<R>(sock);
    }
}

/// Inode number of the network namespace of a socket of any sort.
///
/// # Safety
/// As for [`Read::read`].
#[inline(always)]
pub(super) unsafe fn netns<R: Read>(sock: Pointer) -> u32 {
    // The verifier refuses a load from what it knows to be NULL.
    if kernel::SKC_NET.load() == ABSENT {
        return 0;
    }
    // SAFETY: the caller vouches for `sock`; every sort starts with a `sock_common`.
    unsafe {
        let net = R::read::<u64>(sock, &kernel::SKC_NET) as Pointer;
        R::read(net, &kernel::NET_INUM)
    }
}

/// Ends that are not known.
#[inline(always)]
pub(super) fn no_tuple(part: *mut Tuple) {
    zero(part);
}

/// Zeros in every word of a part.
#[inline(always)]
fn zero<T>(part: *mut T) {
    let words = part.cast::<u32>();
    for word in 0..size_of::<T>() / size_of::<u32>() {
        // One store each: the compiler would otherwise call a function that clears byte by
        // byte.
        // SAFETY: `part` lies in a reserved record, and is as aligned as its largest number.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Where the peer's address starts in a [`Tuple`], in words of four bytes.
const PEER_WORD: usize = core::mem::offset_of!(Tuple, peer_address) / size_of::<u32>();

/// What a full socket holds, as far as it counts for the state that it is about to enter: each read
/// takes time, and few of them say anything before the end.
///
/// # Safety
/// `sock` is what [`Read::tcp`] gives, and not NULL.
#[inline(always)]
pub(super) unsafe fn snapshot<R: Read>(part: *mut Snapshot, sock: Pointer, entered: u8) {
    zero(part);
    // SAFETY: `part` lies in a reserved record; the caller vouches for `sock`.
    unsafe {
        (*part).cookie = R::read(sock, &kernel::SKC_COOKIE);
        (*part).cgroup = cgroup::<R>(sock);
        (*part).write_seq = R::read(sock, &kernel::TCP_WRITE_SEQ);
        (*part).sk_flags = R::read::<u64>(sock, &kernel::SKC_FLAGS) as u32;
        (*part).error = R::read::<u32>(sock, &kernel::SK_ERR) as u16;
        let fin = entered == state::FIN_WAIT1 || entered == state::LAST_ACK;
        if !fin && entered != state::CLOSE {
            return;
        }
        (*part).linger_time = R::read::<u64>(sock, &kernel::SK_LINGERTIME) as u32;
        (*part).shutdown = R::read(sock, &kernel::SK_SHUTDOWN);
        let socket = R::read::<u64>(sock, &kernel::SK_SOCKET) as Pointer;
        (*part).marks = held::<R>(socket);
        if entered == state::CLOSE {
            at_close::<R>(part, sock);
        }
    }
}

/// What is left of a connection.
///
/// # Safety
/// As for [`snapshot`].
#[inline(always)]
unsafe fn at_close<R: Read>(part: *mut Snapshot, sock: Pointer) {
    // SAFETY: `part` lies in a reserved record; the caller vouches for `sock`.
    unsafe {
        (*part).rcv_nxt = R::read(sock, &kernel::TCP_RCV_NXT);
        (*part).copied_seq = R::read(sock, &kernel::TCP_COPIED_SEQ);
        (*part).snd_nxt = R::read(sock, &kernel::TCP_SND_NXT);
        (*part).snd_una = R::read(sock, &kernel::TCP_SND_UNA);
        (*part).snd_wnd = R::read(sock, &kernel::TCP_SND_WND);
        (*part).user_timeout_ms = R::read(sock, &kernel::ICSK_USER_TIMEOUT);
        (*part).linger2 = R::read(sock, &kernel::TCP_LINGER2);
        (*part).soft_error = R::read::<u32>(sock, &kernel::SK_ERR_SOFT) as u16;
        (*part).retransmits = R::read(sock, &kernel::ICSK_RETRANSMITS);
        (*part).probes = R::read(sock, &kernel::ICSK_PROBES_OUT);
        (*part).marks |= marks::<R>(sock);
    }
}

/// [`flag::HASHED`] and [`flag::HASHED_KNOWN`] of a socket that is about to leave its state.
///
/// # Safety
/// As for [`Read::read`], and the socket is a full one.
#[inline(always)]
pub(super) unsafe fn hashed<R: Read>(sock: Pointer) -> u8 {
    if kernel::SK_HASHED.load() == ABSENT {
        return 0;
    }
    // SAFETY: the caller vouches for `sock`.
    let pprev = unsafe { R::read::<u64>(sock, &kernel::SK_HASHED) };
    if pprev == 0 {
        flag::HASHED_KNOWN
    } else {
        flag::HASHED_KNOWN | flag::HASHED
    }
}

/// [`flag::HAS_SOCKET`], or nothing.
///
/// # Safety
/// As for [`Read::read`], and the socket is a full one.
#[inline(always)]
pub(super) unsafe fn has_socket<R: Read>(sock: Pointer) -> u8 {
    // SAFETY: the caller vouches for `sock`.
    let socket = unsafe { R::read::<u64>(sock, &kernel::SK_SOCKET) };
    if socket == 0 { 0 } else { flag::HAS_SOCKET }
}

#[inline(always)]
unsafe fn cgroup<R: Read>(sock: Pointer) -> u64 {
    // As for a network namespace.
    if kernel::SK_CGROUP.load() == ABSENT || kernel::CGROUP_KN.load() == ABSENT {
        return 0;
    }
    // SAFETY: the caller vouches for `sock`; a load from NULL gives zero.
    unsafe {
        let group = R::read::<u64>(sock, &kernel::SK_CGROUP) as Pointer;
        let node = R::read::<u64>(group, &kernel::CGROUP_KN) as Pointer;
        R::read(node, &kernel::KERNFS_ID)
    }
}

#[inline(always)]
unsafe fn marks<R: Read>(sock: Pointer) -> u8 {
    // SAFETY: the caller vouches for `sock`.
    let (repair, pending, is_mptcp) = unsafe {
        (
            R::read::<u8>(sock, &kernel::TCP_REPAIR),
            R::read::<u8>(sock, &kernel::ICSK_PENDING),
            R::read::<u8>(sock, &kernel::TCP_IS_MPTCP),
        )
    };
    let mut marks = 0;
    if u32::from(repair) & kernel::TCP_REPAIR_MASK.load() != 0 {
        marks |= flag::REPAIR;
    }
    if pending != 0 {
        marks |= flag::WRITE_TIMER;
    }
    if is_mptcp != 0 {
        marks |= flag::SUBFLOW;
    }
    marks
}

/// [`flag::HAS_SOCKET`] and whether it is being let go of, or nothing where there is none.
///
/// # Safety
/// As for [`Read::read`]; it is a `struct socket`, or NULL.
#[inline(always)]
unsafe fn held<R: Read>(socket: Pointer) -> u8 {
    if socket.is_null() {
        return 0;
    }
    // SAFETY: the caller vouches for `socket`.
    flag::HAS_SOCKET | unsafe { release::<R>(socket) }
}

/// Whether the last reference to the socket's file is gone.
///
/// `fput` leaves 0 in the `f_count` that kernels up to 6.12 have, and a negative number in
/// the `file_ref_t` of later ones (`FILE_REF_DEAD`); a file in use has at least 1 there, and
/// at least 0 here.
///
/// # Safety
/// As for [`Read::read`]; it is a `struct socket`.
#[inline(always)]
unsafe fn release<R: Read>(socket: Pointer) -> u8 {
    // SAFETY: the caller vouches for `socket`.
    let file = unsafe { R::read::<u64>(socket, &kernel::SOCKET_FILE) } as Pointer;
    if file.is_null() {
        return 0;
    }
    let released = if kernel::FILE_REF.load() != ABSENT {
        // SAFETY: it was read from `socket`.
        unsafe { R::read::<i64>(file, &kernel::FILE_REF) < 0 }
    } else if kernel::FILE_COUNT.load() != ABSENT {
        // SAFETY: as above.
        unsafe { R::read::<i64>(file, &kernel::FILE_COUNT) == 0 }
    } else {
        return 0;
    };
    if released {
        flag::RELEASING | flag::RELEASING_KNOWN
    } else {
        flag::RELEASING_KNOWN
    }
}
