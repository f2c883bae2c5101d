//! What must be seen for a counter to be judged.
//!
//! Takes what the probes in force see; gives what is missing, in words.

use crate::track::Sight;

use super::Counter;

/// What an audit rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What the attached probes can see.
    pub sight: Sight,
    /// The kernel counts a minisock when its time has run out, not when it starts.
    pub counts_minisocks_at_end: bool,
}

/// What one counter cannot be judged without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    ResetsSent,
    Replies,
    RepliesBeyondSockets,
    Minisocks,
    MinisocksWhereCountedAtEnd,
}

impl Need {
    /// What the agent is blind to, if it is.
    fn unmet(self, facts: &Facts) -> Option<&'static str> {
        let Facts {
            sight,
            counts_minisocks_at_end,
        } = facts;
        let (met, blind_to) = match self {
            Self::ResetsSent => (
                sight.resets_sent,
                "the resets that this host sends of its own accord",
            ),
            Self::Replies => (sight.replies, "the resets that answer a segment"),
            Self::RepliesBeyondSockets => (
                sight.replies_beyond_sockets,
                "the resets that answer a segment for a minisock or for no socket",
            ),
            Self::Minisocks => (sight.minisocks, "minisocks"),
            Self::MinisocksWhereCountedAtEnd => (
                sight.minisocks || !counts_minisocks_at_end,
                "how minisocks end, which is when this kernel counts them",
            ),
        };
        (!met).then_some(blind_to)
    }
}

impl Facts {
    /// What of the things that a counter counts the probes in force do not see; `None`: nothing.
    pub fn blind_to(&self, counter: Counter) -> Option<&'static str> {
        let needs = counter.row().needs;
        needs.iter().find_map(|need| need.unmet(self))
    }
}
