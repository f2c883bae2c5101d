//! Why it ended, and who ended it.
//!
//! Takes one [`Closed`](crate::track::Closed) connection; gives one [`Verdict`]. Pure: no
//! IO, no clock, no memory of other connections, and never a panic.

mod ending;
mod verdict;

pub use ending::Ending;
pub use verdict::{
    Attributes, Closer, Confidence, Initiator, LeftBehind, Phase, ResetCause, Role, TimeWait,
    Verdict,
};

use crate::track::Closed;

/// Judges one closed connection.
pub fn classify(closed: &Closed) -> Verdict {
    let _ = closed;
    unimplemented!("written with the tracker")
}
