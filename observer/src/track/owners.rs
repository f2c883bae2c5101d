//! To whom open connections belong: what most of them share, kept once for all that do.
//!
//! Takes an [`Owner`]; gives a number of four bytes in its place, for as long as it is not given
//! back. Every operation takes constant time. What nobody needs is kept for the next, up to a
//! bound.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::num::NonZeroU64;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::event::Task;

/// Owners without a connection that are kept: the next connection is likely to have one of them.
const IDLE: usize = 256;

/// Places that are kept while no connection has any of them.
const MOST_KEPT: usize = 1 << 10;

/// Who opened a connection, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    /// Who connected or accepted, if that is known.
    pub(super) opener: Option<Task>,
    /// Identifier of the socket's cgroup.
    pub(super) cgroup: Option<NonZeroU64>,
    /// Inode number of the network namespace; 0 if it is not known.
    pub(super) netns: u32,
}

/// Stands for an [`Owner`], valid until it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnerId(u32);

#[derive(Debug)]
struct Kept {
    owner: Owner,
    /// Connections that have it.
    count: u32,
    /// It is among `idle`.
    queued: bool,
}

/// All owners.
#[derive(Debug, Default)]
pub(super) struct Owners {
    places: Vec<Option<Kept>>,
    empty: Vec<u32>,
    by_owner: HashTable<u32>,
    key: DefaultHashBuilder,
    /// Those that some time were without a connection, each once.
    idle: VecDeque<u32>,
    /// Connections.
    users: usize,
}

impl Owners {
    /// One connection more has this owner.
    pub(super) fn take(&mut self, owner: Owner) -> OwnerId {
        let hash = self.key.hash_one(owner);
        let places = &self.places;
        let same = |at: &u32| owner_at(places, *at) == Some(&owner);
        let at = match self.by_owner.find(hash, same) {
            Some(at) => *at,
            None => self.insert(hash, owner),
        };
        if let Some(kept) = self.kept(at) {
            kept.count += 1;
            self.users += 1;
        }
        OwnerId(at)
    }

    /// One connection less has it.
    pub(super) fn give(&mut self, OwnerId(at): OwnerId) {
        let Some(kept) = self.kept(at) else {
            return;
        };
        kept.count -= 1;
        let idle = kept.count == 0 && !kept.queued;
        kept.queued |= idle;
        self.users -= 1;
        if self.users == 0 && self.places.len() > MOST_KEPT {
            *self = Self::default();
        } else if idle {
            self.idle.push_back(at);
            if self.idle.len() > IDLE {
                self.forget_oldest();
            }
        }
    }

    /// A connection has another owner from here on.
    pub(super) fn exchange(&mut self, before: OwnerId, owner: Owner) -> OwnerId {
        let after = self.take(owner);
        self.give(before);
        after
    }

    pub(super) fn get(&self, OwnerId(at): OwnerId) -> Owner {
        owner_at(&self.places, at).copied().unwrap_or_default()
    }

    fn kept(&mut self, at: u32) -> Option<&mut Kept> {
        self.places.get_mut(at as usize)?.as_mut()
    }

    fn insert(&mut self, hash: u64, owner: Owner) -> u32 {
        let kept = Some(Kept {
            owner,
            count: 0,
            queued: false,
        });
        let at = match self.empty.pop() {
            Some(at) => at,
            None => u32::try_from(self.places.len()).unwrap_or(u32::MAX),
        };
        match self.places.get_mut(at as usize) {
            Some(place) => *place = kept,
            None => self.places.push(kept),
        }
        let (places, key) = (&self.places, &self.key);
        let rehash = |at: &u32| owner_at(places, *at).map_or(0, |owner| key.hash_one(owner));
        self.by_owner.insert_unique(hash, at, rehash);
        at
    }

    /// Forgets the owner that was the first without a connection, if it still has none.
    fn forget_oldest(&mut self) {
        let Some(at) = self.idle.pop_front() else {
            return;
        };
        let Some(kept) = self.kept(at) else {
            return;
        };
        kept.queued = false;
        if kept.count > 0 {
            return;
        }
        let hash = self.key.hash_one(self.get(OwnerId(at)));
        if let Ok(entry) = self.by_owner.find_entry(hash, |it| *it == at) {
            entry.remove();
        }
        if let Some(place) = self.places.get_mut(at as usize) {
            *place = None;
        }
        self.empty.push(at);
    }
}

fn owner_at(places: &[Option<Kept>], at: u32) -> Option<&Owner> {
    Some(&places.get(at as usize)?.as_ref()?.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32) -> Owner {
        let opener = Some(Task {
            pid,
            ..Task::default()
        });
        Owner {
            opener,
            ..Owner::default()
        }
    }

    #[test]
    fn connections_of_one_owner_share_a_place() {
        let mut owners = Owners::default();
        let (one, same, other) = (
            owners.take(owner(1)),
            owners.take(owner(1)),
            owners.take(owner(2)),
        );
        assert_eq!(one, same);
        assert_ne!(one, other);
        owners.give(one);
        assert_eq!(owners.get(same), owner(1));
        let moved = owners.exchange(same, owner(2));
        assert_eq!(moved, other);
        assert_eq!(owners.get(moved), owner(2));
    }

    #[test]
    fn the_owner_of_the_last_connection_is_there_for_the_next() {
        let mut owners = Owners::default();
        let first = owners.take(owner(1));
        owners.give(first);
        assert_eq!(owners.take(owner(1)), first);
        assert_eq!(owners.by_owner.len(), 1);
    }

    #[test]
    fn owners_of_the_past_are_bounded_and_none_of_the_present_is_forgotten() {
        let mut owners = Owners::default();
        let stays = owners.take(owner(0));
        for pid in 1..10_000 {
            let passes = owners.take(owner(pid));
            owners.give(passes);
        }
        assert_eq!(owners.get(stays), owner(0));
        assert_eq!(owners.by_owner.len(), 1 + IDLE);
        assert!(owners.places.len() <= 2 + IDLE, "{}", owners.places.len());
    }

    #[test]
    fn one_that_comes_and_goes_waits_once() {
        let mut owners = Owners::default();
        for _ in 0..10_000 {
            let comes = owners.take(owner(1));
            owners.give(comes);
        }
        assert_eq!(owners.idle.len(), 1);
    }

    #[test]
    fn memory_of_very_many_is_given_back_after_the_last() {
        let mut owners = Owners::default();
        let all: Vec<OwnerId> = (0..10_000).map(|pid| owners.take(owner(pid))).collect();
        for (pid, id) in (0..).zip(&all) {
            assert_eq!(owners.get(*id), owner(pid));
        }
        for id in all {
            owners.give(id);
        }
        assert_eq!(owners.places.capacity(), 0);
        let next = owners.take(owner(7));
        assert_eq!(owners.get(next), owner(7));
    }
}
