//! What a recogniser answers, and errno values.

use super::Ending;

/// An ending that a recogniser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ending: Ending,
    /// Why it is not certain, if it is not.
    pub(super) doubt: Option<&'static str>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a recogniser's answer is an option"
)]
impl Found {
    /// Every fact was seen.
    pub(super) const fn exact(ending: Ending) -> Option<Self> {
        Some(Self {
            ending,
            doubt: None,
        })
    }

    /// A fact was concluded from others.
    pub(super) const fn inferred(ending: Ending, doubt: &'static str) -> Option<Self> {
        Some(Self {
            ending,
            doubt: Some(doubt),
        })
    }
}

/// Linux errno values that tell endings apart: the same on every architecture that the
/// agent runs on (`include/uapi/asm-generic/errno.h`).
pub(super) mod errno {
    pub(in crate::classify) const EPIPE: u16 = 32;
    pub(in crate::classify) const ECONNABORTED: u16 = 103;
    pub(in crate::classify) const ECONNRESET: u16 = 104;
    pub(in crate::classify) const ETIMEDOUT: u16 = 110;
    pub(in crate::classify) const ECONNREFUSED: u16 = 111;
}
