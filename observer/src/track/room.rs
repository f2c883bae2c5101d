//! Room for connections: how one gets a place or a record, and what gives way to it.

use crate::event::{SockId, State, Timestamp};

use super::Tracker;
use super::closed::{Closed, Origin};
use super::open::Open;
use super::opens::OpenSlot;
use super::table::{Found, Slot};

/// Memory of ended connections that is kept for the next, at most 3 MiB.
const SPARE: usize = 1024;

/// Connections that the peer closed, passed over in search of one to give up.
const PASSED_OVER: usize = 16;

impl Tracker {
    /// Takes back what [`Output::Closed`](super::Output::Closed) gave, so that the next connection needs no new memory.
    pub fn reuse(&mut self, mut closed: Box<Closed>) {
        if self.spare.len() < SPARE {
            // Nobody is to share a stack with what is over.
            closed.opening = None;
            self.spare.push(closed);
        }
    }

    /// The record of this pointer's connection. One that was merely open has one from here on.
    pub(super) fn slot(&mut self, sock: SockId) -> Option<Slot> {
        match self.table.find(sock)? {
            Found::Record(slot) => Some(slot),
            Found::Open(at) => self.promote(at),
        }
    }

    pub(super) fn promote(&mut self, at: OpenSlot) -> Option<Slot> {
        self.make_room();
        let facts = self.blank();
        self.table.promote(at, facts, self.sight, self.limits.steps)
    }

    /// Facts to be written anew.
    fn blank(&mut self) -> Box<Closed> {
        let new = || Closed::new(self.sight, Origin::Unseen, Timestamp(0), State::Close);
        self.spare.pop().unwrap_or_else(|| Box::new(new()))
    }

    /// Starts a record for a pointer that has none.
    pub(super) fn start(
        &mut self,
        sock: SockId,
        origin: Origin,
        at: Timestamp,
        state: State,
    ) -> Slot {
        self.make_room();
        let mut facts = self.blank();
        facts.begin(self.sight, origin, at, state);
        self.table.insert(sock, facts)
    }

    /// Makes room for one more record.
    fn make_room(&mut self) {
        while self.table.records().len() >= self.limits.records.max(1) {
            let Some(oldest) = self.table.oldest() else {
                break;
            };
            if let Some(facts) = self.table.remove(oldest) {
                self.reuse(facts);
            }
            self.evictions += 1;
        }
    }

    /// Starts an open connection for a pointer that has none, making room first.
    pub(super) fn start_open(&mut self, open: Open) -> OpenSlot {
        while self.table.opens.len() >= self.limits.connections.max(1) {
            let Some(oldest) = self.oldest_idle() else {
                break;
            };
            self.table.remove_open(oldest);
            self.evictions += 1;
        }
        self.table.insert_open(open)
    }

    /// The oldest open connection, but what the peer closed goes after what is merely open: it may
    /// be a leak. The oldest goes all the same where one looks after so many of those.
    fn oldest_idle(&mut self) -> Option<OpenSlot> {
        for _ in 0..PASSED_OVER {
            let oldest = self.table.opens.oldest()?;
            if !self.table.opens.get(oldest)?.is_shut() {
                return Some(oldest);
            }
            self.table.opens.touch(oldest);
        }
        self.table.opens.oldest()
    }
}
