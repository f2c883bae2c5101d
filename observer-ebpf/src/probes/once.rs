//! Each event once, although several programs are shown it in turn.
//!
//! The kernel does not run a program that already runs on the same CPU, in a task that was
//! displaced: by an interrupt for as long as that takes, and on a kernel that preempts its own code
//! (by default since Linux 7.0) by another task for as long as the first waits for the CPU, however
//! many events there are meanwhile. Each program is left out by itself. So what may happen in a task
//! with softirqs on is shown to two programs on the same hook, or on a tracepoint within its
//! function, and where tasks are preempted to three: the first that runs reports it and leaves a
//! mark, which the others find. The mark says which of them were shown the event, so that one that
//! is shown the same once more knows it for another, as long as a program may be left out.
//!
//! Takes what names an event; gives whether it is the first to see it. Keeps a few marks a CPU.
//! At worst (the task goes to another CPU in between) an event is reported twice, which the agent
//! notices.

use aya_ebpf::{
    Global,
    macros::map,
    maps::{Array, PerCpuArray},
};
use observer_ebpf::wire::Kind;

use super::kernel::{Pointer, Read, SKC_HASH};
use super::ring::{MAPPABLE, PerKind, count};

/// Makes the entry points of programs that are shown the same event in turn.
macro_rules! in_turn {
    (
        #[$hook:meta]
        fn $first:ident, $second:ident, $third:ident($turn:ident, $context:ident: $type:ty) $body:block
    ) => {
        #[$hook]
        fn $first($context: $type) {
            let $turn = Turn::First;
            $body
        }

        #[$hook]
        fn $second($context: $type) {
            let $turn = Turn::Second;
            $body
        }

        #[$hook]
        fn $third($context: $type) {
            let $turn = Turn::Third;
            $body
        }
    };
}

pub(super) use in_turn;

/// Which of the programs that are shown the same events it is; a bit each. The kernel may run them in
/// any order.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    First = 1,
    Second = 2,
    Third = 4,
}

/// Whether a third program is attached.
#[unsafe(no_mangle)]
static IN_THREE: Global<u32> = Global::new(0);

/// Places for the marks of one kind: of tasks that were preempted between two programs, and of
/// events that not every program was shown.
const PLACES: u32 = 16;

/// That an event was reported.
///
/// The socket stands alone in its word: the verifier lets a program store and compare a kernel
/// pointer, but not calculate with it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Mark {
    sock: u64,
    /// Of both ends, once they are known: a pointer is soon that of another connection.
    hash: u32,
    what: u16,
    /// The bits of the programs that were shown it.
    shown: u16,
}

/// By kind and connection, so that what happens within an event's function takes no other's place.
#[map]
static SEEN: PerCpuArray<Mark> = PerCpuArray::with_max_entries(Kind::SLOTS * PLACES, 0);

/// Events that one of three programs alone was shown, by CPU and kind number. The agent sets how
/// many CPUs there are.
#[map]
static ALONE: Array<PerKind> = Array::with_max_entries(1, MAPPABLE);

/// Whether no program before this one saw that this happens to `sock`. `what` tells it from others
/// of its kind. Each of the programs asks once, whether it then reports the event or not.
///
/// # Safety
/// As for [`Read::read`]; the socket may be of any sort.
#[inline(always)]
pub(super) unsafe fn is_first<R: Read>(turn: Turn, kind: Kind, sock: Pointer, what: u16) -> bool {
    // SAFETY: the caller vouches for `sock`; every sort starts with a `sock_common`.
    let hash: u32 = unsafe { R::read(sock, &SKC_HASH) };
    let place = kind as u32 * PLACES + hash % PLACES;
    let Some(mark) = SEEN.get_ptr_mut(place) else {
        return true;
    };
    // SAFETY: the place is this CPU's own. A program that takes it in between, in an interrupt or
    // another task, is shown another event: this one is then reported twice, never lost.
    let mark = unsafe { &mut *mark };
    let shown = mark.shown;
    let own = turn as u16;
    let is_known = mark.sock == sock as u64 && mark.hash == hash && mark.what == what;
    if is_known && shown & own == 0 && shown != 0 {
        mark.shown = shown | own;
        return false;
    }
    if IN_THREE.load() != 0 && shown.is_power_of_two() {
        count(&ALONE, kind);
    }
    *mark = Mark {
        sock: sock as u64,
        hash,
        what,
        shown: own,
    };
    true
}
