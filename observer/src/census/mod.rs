//! Which TCP sockets exist now, and who holds them.
//!
//! Takes nothing but the kernel's own answers: `sock_diag` in each network namespace, and
//! `/proc`. Gives [`Seen`] sockets, [`Holder`]s and the places where nobody could look. It
//! needs no probe and changes nothing. It waits for the kernel and for file systems, so it
//! never runs on the event loop.

pub mod cgroup;

pub mod diag;

mod hidden;

pub mod holders;

pub mod namespaces;

pub mod process;

mod busy;

mod look;

mod orphans;

mod seen;

mod slab;

mod sought;

mod sysctls;

mod tally;

pub use busy::{Busy, Destination, Ports};
pub(crate) use hidden::inside_a_pid_namespace;
pub use holders::{Holder, Holders};
pub use look::{Census, Looked, Scope, look};
pub use orphans::Orphans;
pub use seen::{Minisock, Quiet, Seen};
pub use slab::minisock_bytes;
pub use sought::Sought;
pub use sysctls::{Sysctls, TwReuse};
pub use tally::Tally;
