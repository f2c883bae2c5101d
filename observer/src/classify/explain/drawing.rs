//! What crossed the wire, as data: one step a line, this end on the left, the peer on the right.

use crate::event::State;

/// What one line of a drawing shows between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// This end sent it, and it arrived.
    Sent(&'static str),
    /// This end sent it, and it was lost or not answered.
    SentLost(&'static str),
    /// The other end sent it, and it arrived.
    Received(&'static str),
    /// Nothing crossed; time passed, or something happened at an end.
    Quiet(&'static str),
}

/// What one end did in a step, and the state that it entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// A call or an act; may be empty.
    pub act: &'static str,
    /// The state after it, where it changed.
    pub state: Option<State>,
}

/// One line of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// This end.
    pub here: Lane,
    /// What crossed.
    pub wire: Wire,
    /// The other end.
    pub there: Lane,
    /// Whether this step makes the ending what it is.
    pub decides: bool,
}

const NOTHING: Lane = Lane {
    act: "",
    state: None,
};

impl Step {
    const fn of(wire: Wire) -> Self {
        Self {
            here: NOTHING,
            wire,
            there: NOTHING,
            decides: false,
        }
    }

    pub(super) const fn sent(segment: &'static str) -> Self {
        Self::of(Wire::Sent(segment))
    }

    pub(super) const fn sent_lost(segment: &'static str) -> Self {
        Self::of(Wire::SentLost(segment))
    }

    pub(super) const fn received(segment: &'static str) -> Self {
        Self::of(Wire::Received(segment))
    }

    pub(super) const fn quiet(what: &'static str) -> Self {
        Self::of(Wire::Quiet(what))
    }

    /// The line that a drawing of an open connection starts with.
    pub(super) const fn established() -> Self {
        Self::quiet("")
            .here("", State::Established)
            .there("", State::Established)
    }

    pub(super) const fn here(mut self, act: &'static str, state: State) -> Self {
        self.here = Lane {
            act,
            state: Some(state),
        };
        self
    }

    pub(super) const fn there(mut self, act: &'static str, state: State) -> Self {
        self.there = Lane {
            act,
            state: Some(state),
        };
        self
    }

    pub(super) const fn act_here(mut self, act: &'static str) -> Self {
        self.here = Lane { act, state: None };
        self
    }

    pub(super) const fn act_there(mut self, act: &'static str) -> Self {
        self.there = Lane { act, state: None };
        self
    }

    pub(super) const fn decides(mut self) -> Self {
        self.decides = true;
        self
    }
}
