//! Which end a record tells of, by its addresses.

use std::net::SocketAddr;

use crate::agent::Record;
use crate::scenario::truth::{End, canonical};

/// A record with its addresses read: each is compared with many ends.
pub(super) struct Place<'a> {
    pub(super) record: &'a Record,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

impl<'a> Place<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let read = |text: &Option<String>| text.as_ref()?.parse().ok().map(canonical);
        Self {
            record,
            local: read(&record.local),
            peer: read(&record.peer),
        }
    }

    pub(super) fn belongs_to(&self, end: &End) -> bool {
        if end.netns.is_some() && end.netns != self.record.netns {
            return false;
        }
        if end.local.is_some() && end.peer.is_some() {
            (self.local, self.peer) == (end.local, end.peer)
        } else {
            self.record.role == end.role
        }
    }
}
