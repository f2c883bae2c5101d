//! The user stacks of those who opened connections, each kept once.
//!
//! Takes frames; gives a [`Stack`] that all connections opened from there share. Bounded: what
//! no connection has any more makes room, and what finds none is counted.

use std::collections::HashSet;
use std::sync::Arc;

use crate::event::Timestamp;

/// Addresses in a program, innermost first: of the instruction after the system call, then to
/// where each function returns.
pub type Stack = Arc<[u64]>;

/// A process made a connection its own: it connected or accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub stack: Stack,
}

/// Different stacks kept at once: 6 MiB, if each is as deep as can be told.
const MOST: usize = 16_384;

/// The least of them for which those without a connection are looked for.
const LEAST: usize = 1024;

/// The stacks of connections that are open.
#[derive(Debug)]
pub(super) struct Stacks {
    kept: HashSet<Stack>,
    most: usize,
    /// From so many on, those without a connection are looked for, ...
    full: usize,
    /// ... if there were enough new ones since the last look to pay for it.
    new: usize,
    dropped: u64,
}

impl Default for Stacks {
    fn default() -> Self {
        Self::with_room_for(MOST)
    }
}

impl Stacks {
    fn with_room_for(most: usize) -> Self {
        Self {
            kept: HashSet::new(),
            most,
            full: LEAST.min(most),
            new: 0,
            dropped: 0,
        }
    }

    /// The one stack with these frames; `None` if there is no room for another.
    pub(super) fn keep(&mut self, frames: &[u64]) -> Option<Stack> {
        if let Some(stack) = self.kept.get(frames) {
            return Some(Stack::clone(stack));
        }
        self.new += 1;
        if self.kept.len() >= self.full && self.new * 8 >= self.kept.len() {
            self.make_room();
        }
        if self.kept.len() >= self.most {
            self.dropped += 1;
            return None;
        }
        let stack = Stack::from(frames);
        self.kept.insert(Stack::clone(&stack));
        Some(stack)
    }

    fn make_room(&mut self) {
        self.kept.retain(|stack| Arc::strong_count(stack) > 1);
        self.new = 0;
        self.full = (self.kept.len() * 2).max(LEAST).min(self.most);
    }

    /// Stacks that were not kept because there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Stacks;

    #[test]
    fn connections_opened_from_one_place_share_its_stack() {
        let mut stacks = Stacks::default();
        let one = stacks.keep(&[1, 2]).unwrap();
        let same = stacks.keep(&[1, 2]).unwrap();
        let other = stacks.keep(&[1, 3]).unwrap();
        assert!(Arc::ptr_eq(&one, &same));
        assert_eq!((&*one, &*other), (&[1, 2][..], &[1, 3][..]));
    }

    #[test]
    fn what_no_connection_has_makes_room() {
        let mut stacks = Stacks::with_room_for(8);
        let held: Vec<_> = (0..7).filter_map(|it| stacks.keep(&[it])).collect();
        for frame in 100..1000 {
            assert!(stacks.keep(&[frame]).is_some(), "{frame}");
            assert!(stacks.kept.len() <= 8);
        }
        assert_eq!((held.len(), stacks.dropped()), (7, 0));
    }

    #[test]
    fn what_finds_no_room_is_counted_until_there_is_some() {
        let mut stacks = Stacks::with_room_for(8);
        let held: Vec<_> = (0..8).filter_map(|it| stacks.keep(&[it])).collect();
        for frame in 100..200 {
            assert_eq!(stacks.keep(&[frame]), None);
        }
        assert_eq!((held.len(), stacks.dropped()), (8, 100));
        drop(held);
        let kept = (200..210).filter(|it| stacks.keep(&[*it]).is_some());
        assert_eq!(kept.count(), 10);
    }
}
