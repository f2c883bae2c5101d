//! Bytes to events.

use super::{Event, Vocabulary};

/// Turns ring records into events.
#[derive(Debug)]
pub struct Decoder {
    vocabulary: Vocabulary,
}

/// Why a record is not an event. Counted, never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("a record of {0} bytes is shorter than its header")]
    Short(usize),
    /// A kind that this agent does not know.
    #[error("a record of unknown kind {0}")]
    UnknownKind(u16),
    /// A size that does not fit the kind.
    #[error("a record of kind {kind} has {got} bytes, not {expected}")]
    Size {
        /// The kind's number.
        kind: u16,
        /// The size that the kind has.
        expected: usize,
        /// The size that the record has.
        got: usize,
    },
    /// A state number that TCP does not have.
    #[error("a record of kind {kind} carries the state {state}, which TCP does not have")]
    State {
        /// The kind's number.
        kind: u16,
        /// The state's number.
        state: u8,
    },
}

impl Decoder {
    /// A decoder for the kernel that this vocabulary was read from.
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary }
    }

    /// Decodes one record.
    pub fn decode(&self, record: &[u8]) -> Result<Event, DecodeError> {
        let _vocabulary = &self.vocabulary;
        Err(DecodeError::Short(record.len()))
    }
}
