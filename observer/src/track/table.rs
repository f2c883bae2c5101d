//! The tracked connections: where each is found, which was touched last, what is due.
//!
//! Takes and gives records by [`Slot`]; knows nothing of TCP. Every operation is constant
//! or logarithmic in time, and nothing iterates over a hash map.

use std::collections::{BTreeSet, HashMap};

use crate::event::{Ends, SockId, Timestamp};

use super::Closed;

/// A place in the table, valid until the record is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

const NONE: u32 = u32::MAX;

/// One tracked connection end.
#[derive(Debug)]
pub(super) struct Record {
    /// What is known of it.
    pub(super) facts: Box<Closed>,
    /// A reset in answer to a segment may follow after `Destroyed`.
    pub(super) awaits_reply: bool,
    /// When an administrator asked to destroy its minisock; an older kernel may refuse.
    pub(super) aborted_at: Option<Timestamp>,
    /// Its minisock is gone.
    pub(super) minisock_gone: bool,
    sock: Option<SockId>,
    minisock: Option<SockId>,
    ends: Option<(u32, Ends)>,
    deadline: Option<Timestamp>,
    older: u32,
    newer: u32,
}

impl Record {
    /// The pointer that leads to it, as long as that means this connection.
    pub(super) fn sock(&self) -> Option<SockId> {
        self.sock
    }

    /// Whether its ends lead to it.
    pub(super) fn held_by_ends(&self) -> bool {
        self.ends.is_some()
    }
}

/// All records, in a slab that is linked from the longest untouched to the latest.
#[derive(Debug, Default)]
pub(super) struct Table {
    slab: Vec<Option<Record>>,
    free: Vec<u32>,
    socks: HashMap<SockId, Slot>,
    minisocks: HashMap<SockId, Slot>,
    by_ends: HashMap<(u32, Ends), Slot>,
    due: BTreeSet<(Timestamp, Slot)>,
    oldest: Option<u32>,
    newest: Option<u32>,
    count: usize,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn sock(&self, sock: SockId) -> Option<Slot> {
        self.socks.get(&sock).copied()
    }

    pub(super) fn minisock(&self, minisock: SockId) -> Option<Slot> {
        self.minisocks.get(&minisock).copied()
    }

    pub(super) fn ends(&self, netns: u32, ends: Ends) -> Option<Slot> {
        self.by_ends.get(&(netns, ends)).copied()
    }

    /// The records in `most` places from `from` on, each with its pointer; and where to go on.
    pub(super) fn slice(
        &self,
        from: usize,
        most: usize,
    ) -> (
        impl Iterator<Item = (Option<SockId>, &Closed)>,
        Option<usize>,
    ) {
        let end = self.slab.len().min(from.saturating_add(most));
        let places = self.slab.get(from..end).unwrap_or_default();
        let records = places.iter().flatten();
        let next = (end < self.slab.len()).then_some(end);
        (records.map(|it| (it.sock, &*it.facts)), next)
    }

    pub(super) fn record(&mut self, slot: Slot) -> Option<&mut Record> {
        self.slab.get_mut(slot.0 as usize)?.as_mut()
    }

    /// Adds a record under a pointer that no record has.
    pub(super) fn insert(&mut self, sock: SockId, facts: Box<Closed>) -> Slot {
        let record = Record {
            facts,
            awaits_reply: false,
            aborted_at: None,
            minisock_gone: false,
            sock: Some(sock),
            minisock: None,
            ends: None,
            deadline: None,
            older: NONE,
            newer: NONE,
        };
        let slot = if let Some(free) = self.free.pop() {
            if let Some(place) = self.slab.get_mut(free as usize) {
                *place = Some(record);
            }
            Slot(free)
        } else {
            self.slab.push(Some(record));
            Slot(u32::try_from(self.slab.len() - 1).unwrap_or(NONE))
        };
        self.socks.insert(sock, slot);
        self.count += 1;
        self.link(slot);
        slot
    }

    /// Takes a record out, with every way that leads to it.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Box<Closed>> {
        self.unlink(slot);
        let record = self.slab.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot.0);
        self.count -= 1;
        if let Some(sock) = record.sock {
            self.socks.remove(&sock);
        }
        if let Some(minisock) = record.minisock {
            self.minisocks.remove(&minisock);
        }
        if let Some(ends) = record.ends {
            self.by_ends.remove(&ends);
        }
        if let Some(deadline) = record.deadline {
            self.due.remove(&(deadline, slot));
        }
        Some(record.facts)
    }

    /// The pointer of the full socket may mean another connection from here on.
    pub(super) fn forget_sock(&mut self, slot: Slot) {
        if let Some(sock) = self.record(slot).and_then(|record| record.sock.take()) {
            self.socks.remove(&sock);
        }
    }

    /// Lets a minisock's pointer lead to the record too. It must not lead to another.
    pub(super) fn name_minisock(&mut self, slot: Slot, minisock: SockId) {
        let Some(record) = self.record(slot) else {
            return;
        };
        if let Some(before) = record.minisock.replace(minisock) {
            self.minisocks.remove(&before);
        }
        self.minisocks.insert(minisock, slot);
    }

    /// Lets its ends lead to the record, unless they lead to another already.
    pub(super) fn name_ends(&mut self, slot: Slot, netns: u32, ends: Ends) {
        if self.by_ends.contains_key(&(netns, ends)) {
            return;
        }
        let Some(record) = self.record(slot) else {
            return;
        };
        if let Some(before) = record.ends.replace((netns, ends)) {
            self.by_ends.remove(&before);
        }
        self.by_ends.insert((netns, ends), slot);
    }

    /// Sets when the record is final without another event.
    pub(super) fn set_deadline(&mut self, slot: Slot, deadline: Timestamp) {
        let Some(record) = self.record(slot) else {
            return;
        };
        if let Some(before) = record.deadline.replace(deadline) {
            self.due.remove(&(before, slot));
        }
        self.due.insert((deadline, slot));
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// A record that is due at `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<Slot> {
        self.due
            .first()
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, slot)| *slot)
    }

    /// The record that was touched the longest time ago.
    pub(super) fn oldest(&self) -> Option<Slot> {
        self.oldest.map(Slot)
    }

    /// Makes the record the latest touched.
    pub(super) fn touch(&mut self, slot: Slot) {
        if self.newest != Some(slot.0) {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn link(&mut self, slot: Slot) {
        let before = self.newest.replace(slot.0);
        if let Some(record) = self.record(slot) {
            record.older = before.unwrap_or(NONE);
            record.newer = NONE;
        }
        match before.and_then(|before| self.record(Slot(before))) {
            Some(record) => record.newer = slot.0,
            None => self.oldest = Some(slot.0),
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(record) = self.record(slot) else {
            return;
        };
        let (older, newer) = (record.older, record.newer);
        match self.record(Slot(older)) {
            Some(record) => record.newer = newer,
            None => self.oldest = (newer != NONE).then_some(newer),
        }
        match self.record(Slot(newer)) {
            Some(record) => record.older = older,
            None => self.newest = (older != NONE).then_some(older),
        }
    }
}
