//! Records as they stand in the ring buffer: native byte order, explicit padding.
//!
//! Every record starts with a [`Header`] whose `kind` tells which struct follows and
//! whose `size` is that struct's size, header included. Addresses are big-endian bytes,
//! ports are in host order. A kind's number is never reused. Behind a [`StateChanged`] to
//! SYN_SENT and an [`Accepted`] a [`Stack`] may follow, and then counts in the size.

pub mod manifest;
pub mod settings;

mod parts;
mod record;

pub use parts::{Header, Kind, Snapshot, Stack, Task, Tuple, flag};
pub use record::{
    Accepted, CloseCalled, Destroyed, MinisockAnswered, MinisockEnded, MinisockStarted,
    ResetReceived, ResetReplied, ResetSent, StateChanged, Teardown,
};
