//! What an operator should act on.
//!
//! Takes what the kernel says that exists now ([`crate::census`]) and what was seen of it
//! while it came to be; gives findings: who holds what, since when, and what to do. Pure: no
//! IO, no clock, no locks.

mod age;

mod buildup;

mod close_wait;

mod finding;

mod ghosts;

mod opened;

mod owner;

mod ports;

mod recent;

mod resets;

mod rounds;

mod stalls;

mod watch;

#[cfg(test)]
mod sample;

pub use age::Age;
pub use buildup::{Buildup, BuildupWatch, Maker};
pub use close_wait::{CloseWait, Leak, leaks};
pub use finding::{Changes, Finding, Findings, Kind, Matter};
pub use ghosts::Ghosts;
pub use opened::{Named, Opened, Place};
pub use owner::{Owner, Service};
pub use ports::{Followed, Headroom, PortWatch};
pub use recent::{Happening, Lately, Recent, What};
pub use resets::{KilledInQueue, Race, Storm, resets};
pub use rounds::Rounds;
pub use stalls::{HalfClosed, OrphanPressure, Stalls, Stuck, Undrained};
pub use watch::Watch;
