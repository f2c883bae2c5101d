//! The body that the three ways to tear a connection down share.
//!
//! Takes the socket and what happens to it; gives one `Teardown` record. Listeners are left
//! out: they are not connections.

use observer_ebpf::wire::{Kind, Teardown};

use super::fill::{self, state};
use super::filter;
use super::kernel::{Pointer, Read};
use super::ring::send;

/// Sends a `Teardown` of `kind`. The socket may be of any sort.
///
/// # Safety
/// As for [`Read::read`].
#[inline(always)]
pub(super) unsafe fn tears_down<R: Read>(kind: Kind, sock: Pointer) {
    // SAFETY: the caller vouches for `sock`.
    let number = unsafe { fill::state_of::<R>(sock) };
    if number == state::LISTEN {
        return;
    }
    // SAFETY: as above.
    if unsafe { !filter::wants_any::<R>(sock, number) } {
        return;
    }
    // SAFETY: `record` is a reserved record; a full socket is read past its common part only
    // where it is one.
    send(kind, sock, |record: *mut Teardown| unsafe {
        fill::task(&raw mut (*record).task);
        (*record).state = number;
        (*record).marks = if fill::is_full(number) {
            fill::has_socket::<R>(sock)
        } else {
            0
        };
    });
}
