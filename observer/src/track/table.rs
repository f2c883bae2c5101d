//! The tracked connections: where each is found, which was touched last, what is due.
//!
//! Takes and gives connections by place; knows nothing of TCP. Every operation takes constant
//! time, and nothing iterates over a hash map.
//!
//! The pointers of sockets are the kernel's, so that nobody outside chooses them and a
//! multiplication hashes them well. The ends are anybody's: their hash has a random key.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::event::{SockId, Timestamp};

use super::compact::{Compact, MaybeSock};
use super::due::{Due, Wait, Waiting};
use super::open::Open;
use super::opens::{OpenSlot, Opens};
use super::slab::Slab;
use super::{Closed, Sight};

/// Buckets that an empty hash table keeps.
const MOST_KEPT: usize = 1 << 14;

/// A record's place in the table, valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is open, and nothing else is to be said of it.
    Open(OpenSlot),
    /// It has a record.
    Record(Slot),
}

/// One connection end of which more is known than that it is open.
#[derive(Debug)]
pub(super) struct Record {
    /// What is known of it.
    pub(super) facts: Box<Closed>,
    sock: MaybeSock,
    minisock: MaybeSock,
    pub(super) waiting: Option<Waiting>,
    /// A reset in answer to a segment may follow after `Destroyed`.
    pub(super) awaits_reply: bool,
    /// Its minisock is gone.
    pub(super) minisock_gone: bool,
    /// Its ends lead to it. They do not change after CLOSE.
    by_ends: bool,
}

impl Record {
    fn new(sock: SockId, facts: Box<Closed>) -> Self {
        Self {
            facts,
            sock: Some(sock).into(),
            minisock: MaybeSock::NONE,
            waiting: None,
            awaits_reply: false,
            minisock_gone: false,
            by_ends: false,
        }
    }

    /// The pointer that leads to it, as long as that means this connection.
    pub(super) fn sock(&self) -> Option<SockId> {
        self.sock.get()
    }

    /// Whether its ends lead to it.
    pub(super) fn held_by_ends(&self) -> bool {
        self.by_ends
    }
}

/// Either kind of place in four bytes: the top bit tells a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const RECORD: u32 = 1 << 31;

    const fn of(found: Found) -> Self {
        match found {
            Found::Open(at) => Self(at.place()),
            Found::Record(at) => Self(at.0 | Self::RECORD),
        }
    }

    const fn found(self) -> Found {
        if self.0 & Self::RECORD == 0 {
            Found::Open(OpenSlot::at(self.0))
        } else {
            Found::Record(Slot(self.0 & !Self::RECORD))
        }
    }
}

const _: () = assert!(size_of::<Option<Record>>() <= 48);

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those that are merely open. They come and go by the methods here.
    pub(super) opens: Opens,
    records: Slab<Record>,
    socks: HashTable<Place>,
    minisocks: HashTable<Slot>,
    by_ends: HashTable<Slot>,
    key_of_ends: DefaultHashBuilder,
    due: Due,
}

/// The high half of the product depends on all of the pointer, and the low half picks the bucket.
const fn hash(sock: SockId) -> u64 {
    let product = sock.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

fn sock_at(opens: &Opens, records: &Slab<Record>, place: Place) -> Option<SockId> {
    match place.found() {
        Found::Open(at) => opens.get(at).map(Open::sock),
        Found::Record(at) => records.get(at.0)?.sock.get(),
    }
}

fn minisock_at(records: &Slab<Record>, slot: Slot) -> Option<SockId> {
    records.get(slot.0)?.minisock.get()
}

/// The namespace and the ends of a record.
fn ends_at(records: &Slab<Record>, slot: Slot) -> Option<(u32, Compact)> {
    let facts = &records.get(slot.0)?.facts;
    facts.ends.is_known().then_some((facts.netns, facts.ends))
}

fn hash_of(sock: Option<SockId>) -> u64 {
    sock.map_or(0, hash)
}

impl Table {
    pub(super) fn records(&self) -> &Slab<Record> {
        &self.records
    }

    pub(super) fn find(&self, sock: SockId) -> Option<Found> {
        let (opens, records) = (&self.opens, &self.records);
        let same = |place: &Place| sock_at(opens, records, *place) == Some(sock);
        self.socks.find(hash(sock), same).map(|it| it.found())
    }

    pub(super) fn minisock(&self, minisock: SockId) -> Option<Slot> {
        let same = |slot: &Slot| minisock_at(&self.records, *slot) == Some(minisock);
        self.minisocks.find(hash(minisock), same).copied()
    }

    pub(super) fn ends(&self, netns: u32, ends: Compact) -> Option<Slot> {
        let wanted = (netns, ends);
        let same = |slot: &Slot| ends_at(&self.records, *slot) == Some(wanted);
        let hash = self.key_of_ends.hash_one(wanted);
        self.by_ends.find(hash, same).copied()
    }

    /// Whether any ends lead to a record.
    pub(super) fn knows_ends(&self) -> bool {
        !self.by_ends.is_empty()
    }

    pub(super) fn record(&mut self, slot: Slot) -> Option<&mut Record> {
        self.records.get_mut(slot.0)
    }

    /// Adds an open connection under a pointer that no other has.
    pub(super) fn insert_open(&mut self, open: Open) -> OpenSlot {
        let sock = open.sock();
        let at = self.opens.insert(open);
        self.lead(sock, Found::Open(at));
        at
    }

    /// Adds a record under a pointer that no connection has.
    pub(super) fn insert(&mut self, sock: SockId, facts: Box<Closed>) -> Slot {
        let slot = Slot(self.records.insert(Record::new(sock, facts)));
        self.lead(sock, Found::Record(slot));
        slot
    }

    fn lead(&mut self, sock: SockId, found: Found) {
        let (opens, records) = (&self.opens, &self.records);
        let rehash = |place: &Place| hash_of(sock_at(opens, records, *place));
        self.socks
            .insert_unique(hash(sock), Place::of(found), rehash);
    }

    /// Lets an open connection go on as a record, which `facts` becomes.
    pub(super) fn promote(
        &mut self,
        at: OpenSlot,
        mut facts: Box<Closed>,
        sight: Sight,
        steps: usize,
    ) -> Option<Slot> {
        let sock = self.opens.get(at)?.sock();
        self.opens.tell(at, &mut facts, sight, steps);
        let slot = Slot(self.records.insert(Record::new(sock, facts)));
        let before = Place::of(Found::Open(at));
        let place = self.socks.find_mut(hash(sock), |place| *place == before);
        if let Some(place) = place {
            *place = Place::of(Found::Record(slot));
        }
        self.opens.remove(at);
        Some(slot)
    }

    /// Takes an open connection out.
    pub(super) fn remove_open(&mut self, at: OpenSlot) {
        if let Some(sock) = self.opens.remove(at) {
            self.unlead(sock, Found::Open(at));
        }
    }

    /// Takes a record out, with every way that leads to it.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Box<Closed>> {
        self.due.remove(&mut self.records, slot.0);
        let record = self.records.remove(slot.0)?;
        if let Some(sock) = record.sock.get() {
            self.unlead(sock, Found::Record(slot));
        }
        if let Some(minisock) = record.minisock.get() {
            self.unlead_minisock(minisock, slot);
        }
        if record.by_ends {
            self.unlead_ends((record.facts.netns, record.facts.ends), slot);
        }
        Some(record.facts)
    }

    fn unlead_ends(&mut self, ends: (u32, Compact), slot: Slot) {
        let hash = self.key_of_ends.hash_one(ends);
        let entry = self.by_ends.find_entry(hash, |it| *it == slot);
        if let Ok(entry) = entry {
            entry.remove();
        }
        if self.by_ends.is_empty() && self.by_ends.capacity() > MOST_KEPT {
            self.by_ends = HashTable::new();
        }
    }

    fn unlead(&mut self, sock: SockId, found: Found) {
        let place = Place::of(found);
        let entry = self.socks.find_entry(hash(sock), |it| *it == place);
        if let Ok(entry) = entry {
            entry.remove();
        }
        if self.socks.is_empty() && self.socks.capacity() > MOST_KEPT {
            self.socks = HashTable::new();
        }
    }

    fn unlead_minisock(&mut self, minisock: SockId, slot: Slot) {
        let entry = self.minisocks.find_entry(hash(minisock), |it| *it == slot);
        if let Ok(entry) = entry {
            entry.remove();
        }
        if self.minisocks.is_empty() && self.minisocks.capacity() > MOST_KEPT {
            self.minisocks = HashTable::new();
        }
    }

    /// The pointer of the full socket may mean another connection from here on.
    pub(super) fn forget_sock(&mut self, slot: Slot) {
        let Some(record) = self.record(slot) else {
            return;
        };
        let before = std::mem::replace(&mut record.sock, MaybeSock::NONE);
        if let Some(before) = before.get() {
            self.unlead(before, Found::Record(slot));
        }
    }

    /// Lets a minisock's pointer lead to the record too. It must not lead to another.
    pub(super) fn name_minisock(&mut self, slot: Slot, minisock: SockId) {
        let Some(record) = self.record(slot) else {
            return;
        };
        let before = std::mem::replace(&mut record.minisock, Some(minisock).into());
        if let Some(before) = before.get() {
            self.unlead_minisock(before, slot);
        }
        let records = &self.records;
        let rehash = |slot: &Slot| hash_of(minisock_at(records, *slot));
        self.minisocks.insert_unique(hash(minisock), slot, rehash);
    }

    /// Lets its ends lead to the record, unless they lead to another already.
    pub(super) fn name_ends(&mut self, slot: Slot) {
        let Some((netns, ends)) = ends_at(&self.records, slot) else {
            return;
        };
        if self.ends(netns, ends).is_some() {
            return;
        }
        let (records, key) = (&self.records, &self.key_of_ends);
        let rehash = |slot: &Slot| ends_at(records, *slot).map_or(0, |it| key.hash_one(it));
        let hash = key.hash_one((netns, ends));
        self.by_ends.insert_unique(hash, slot, rehash);
        if let Some(record) = self.records.get_mut(slot.0) {
            record.by_ends = true;
        }
    }

    /// Sets when the record is final without another event: so long after `from`.
    pub(super) fn set_deadline(&mut self, slot: Slot, from: Timestamp, wait: Wait) {
        self.due.remove(&mut self.records, slot.0);
        self.due.add(&mut self.records, slot.0, from, wait);
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first(&self.records).map(|(deadline, _)| deadline)
    }

    /// A record that is due at `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<Slot> {
        let first = self.due.first(&self.records);
        first
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, at)| Slot(at))
    }

    /// The record that was touched the longest time ago.
    pub(super) fn oldest(&self) -> Option<Slot> {
        self.records.oldest().map(Slot)
    }

    /// Makes the record the latest touched.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.records.touch(slot.0);
    }
}
