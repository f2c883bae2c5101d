//! What an operator wants to know of each ending beyond its row in the table of endings.
//!
//! One constant an ending, in a file of its kind; [`Ending::explanation`] leads to it, and the
//! compiler refuses an ending without one. Data only: a sink lays it out. What is said of the
//! kernel holds for 5.10 to 7.2 unless a text names a version; it was read in
//! `net/ipv4/{tcp,tcp_input,tcp_timer,tcp_minisocks,inet_timewait_sock}.c` of 5.10 and 6.12.

mod drawing;

mod gave_up_closing;
mod gave_up_open;
mod gave_up_opening;
mod orderly;
mod other;
mod reset_by_application;
mod reset_by_kernel;
mod reset_received;

mod shared;

pub use drawing::{Lane, Step, Wire};

use super::Ending;

/// The long text of one ending. The short ones (meaning, cause, what to look at) stand in the
/// table of endings and are not repeated here.
#[derive(Debug)]
pub struct Explanation {
    /// Whether to worry, and what was lost.
    pub problem: &'static str,
    /// What crossed the wire, in order.
    pub drawing: &'static [Step],
    /// What the application here did and sees.
    pub application: &'static str,
    /// Causes after the likely one.
    pub causes: &'static [&'static str],
    /// What to do next, after the one line of the table.
    pub next: &'static [Next],
    /// Socket options, sysctls and flags that matter.
    pub settings: &'static [Setting],
    /// Counters of the kernel that move.
    pub counters: &'static [KernelCounter],
    /// Popular advice that does not hold.
    pub myths: &'static [Myth],
    /// How the other end of the same connection may end.
    pub other_end: &'static [Ending],
}

/// A step of an investigation.
#[derive(Debug)]
pub struct Next {
    /// What it shows, or what to change.
    pub text: &'static str,
    /// A command line; words in capitals stand for values.
    pub command: Option<&'static str>,
}

/// A socket option, sysctl or flag.
#[derive(Debug)]
pub struct Setting {
    /// As the kernel or the flag spells it.
    pub name: &'static str,
    /// What it does to this ending.
    pub effect: &'static str,
}

/// A counter of the kernel.
#[derive(Debug)]
pub struct KernelCounter {
    /// As `nstat` spells it.
    pub name: &'static str,
    /// By how much it moves, and when.
    pub moves: &'static str,
}

/// Advice that is often given and wrong.
#[derive(Debug)]
pub struct Myth {
    /// The advice.
    pub advice: &'static str,
    /// What is true.
    pub truth: &'static str,
}

impl Ending {
    /// The long text.
    pub const fn explanation(self) -> &'static Explanation {
        match self {
            Self::ActiveClose => &orderly::ACTIVE_CLOSE,
            Self::PassiveClose => &orderly::PASSIVE_CLOSE,
            Self::SimultaneousClose => &orderly::SIMULTANEOUS_CLOSE,
            Self::ResetUnreadData => &reset_by_application::UNREAD_DATA,
            Self::ResetLingerZero => &reset_by_application::LINGER_ZERO,
            Self::ResetDataAfterClose => &reset_by_application::DATA_AFTER_CLOSE,
            Self::ResetListenerClosed => &reset_by_kernel::LISTENER_CLOSED,
            Self::ResetDisconnect => &reset_by_application::DISCONNECT,
            Self::ResetLinger2 => &reset_by_application::LINGER2,
            Self::ResetOutOfMemory => &reset_by_kernel::OUT_OF_MEMORY,
            Self::ResetDestroyed => &reset_by_kernel::DESTROYED,
            Self::ResetOther => &reset_by_kernel::OTHER,
            Self::ConnectRefused => &reset_received::CONNECT_REFUSED,
            Self::PeerReset => &reset_received::PEER_RESET,
            Self::PeerResetAfterFin => &reset_received::AFTER_FIN,
            Self::PeerResetWhileClosing => &reset_received::WHILE_CLOSING,
            Self::TimeoutConnect => &gave_up_opening::CONNECT,
            Self::TimeoutRetransmit => &gave_up_open::RETRANSMIT,
            Self::TimeoutUser => &gave_up_open::USER,
            Self::TimeoutKeepalive => &gave_up_open::KEEPALIVE,
            Self::TimeoutZeroWindow => &gave_up_open::ZERO_WINDOW,
            Self::TimeoutOrphan => &gave_up_closing::ORPHAN,
            Self::TimeoutFinWait2 => &gave_up_closing::FIN_WAIT2,
            Self::Unreachable => &gave_up_opening::UNREACHABLE,
            Self::ConnectFailed => &other::CONNECT_FAILED,
            Self::NeverEstablished => &other::NEVER_ESTABLISHED,
            Self::DroppedSilently => &other::DROPPED_SILENTLY,
            Self::Unknown => &other::UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests;
