//! What a record waits for, and how long.
//!
//! A queue for each length of wait: as events come almost in the order of their times, what is
//! due goes to the end of its queue or near it. Every operation takes constant time then.

use std::time::Duration;

use crate::event::Timestamp;

use super::slab::{NONE, Slab};
use super::table::Record;
use super::{AFTER_EXIT, minisock, settle};

/// What a record waits for after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// What may still belong to it.
    AfterExit,
    /// The answer of a minisock that cannot be seen.
    UnseenMinisock,
    /// Its end, of which something in the kernel is late.
    Doomed,
    /// The end of a minisock in FIN_WAIT2.
    FinWait2,
}

impl Wait {
    const ALL: [Self; 4] = [
        Self::AfterExit,
        Self::UnseenMinisock,
        Self::Doomed,
        Self::FinWait2,
    ];

    const fn time(self) -> Duration {
        match self {
            Self::AfterExit => AFTER_EXIT,
            Self::UnseenMinisock => settle::UNSEEN_MINISOCK,
            Self::Doomed => settle::DOOMED,
            Self::FinWait2 => minisock::LONGEST_FIN_WAIT2,
        }
    }
}

/// A record's place in its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// As bytes: a record has room for no padding.
    deadline: [u8; 8],
    sooner: u32,
    later: u32,
    queue: Wait,
}

impl Waiting {
    fn deadline(self) -> Timestamp {
        Timestamp(u64::from_ne_bytes(self.deadline))
    }
}

/// The queues, each from the soonest to the latest.
#[derive(Debug)]
pub(super) struct Due {
    soonest: [u32; Wait::ALL.len()],
    latest: [u32; Wait::ALL.len()],
}

impl Default for Due {
    fn default() -> Self {
        Self {
            soonest: [NONE; Wait::ALL.len()],
            latest: [NONE; Wait::ALL.len()],
        }
    }
}

fn waiting(records: &mut Slab<Record>, at: u32) -> Option<&mut Waiting> {
    records.get_mut(at)?.waiting.as_mut()
}

impl Due {
    /// The record that is due first, and when.
    pub(super) fn first(&self, records: &Slab<Record>) -> Option<(Timestamp, u32)> {
        let first = |at: &u32| Some((records.get(*at)?.waiting?.deadline(), *at));
        self.soonest.iter().filter_map(first).min()
    }

    /// Lets a record that waits for nothing wait from `at` on.
    pub(super) fn add(&mut self, records: &mut Slab<Record>, at: u32, from: Timestamp, wait: Wait) {
        let deadline = from.after(wait.time());
        let mut sooner = self.latest.get(wait as usize).copied().unwrap_or(NONE);
        let mut later = NONE;
        while let Some(before) = waiting(records, sooner).filter(|it| it.deadline() > deadline) {
            later = sooner;
            sooner = before.sooner;
        }
        if let Some(record) = records.get_mut(at) {
            record.waiting = Some(Waiting {
                deadline: deadline.0.to_ne_bytes(),
                sooner,
                later,
                queue: wait,
            });
            self.join(records, wait, (sooner, at), (at, later));
        }
    }

    /// Lets a record wait no more.
    pub(super) fn remove(&mut self, records: &mut Slab<Record>, at: u32) {
        let taken = records.get_mut(at).and_then(|it| it.waiting.take());
        if let Some(taken) = taken {
            let (sooner, later) = (taken.sooner, taken.later);
            self.join(records, taken.queue, (sooner, later), (sooner, later));
        }
    }

    /// Lets the sooner of the first pair lead to its other, and the later of the second back.
    fn join(
        &mut self,
        records: &mut Slab<Record>,
        queue: Wait,
        (sooner, next): (u32, u32),
        (last, later): (u32, u32),
    ) {
        match waiting(records, sooner) {
            Some(it) => it.later = next,
            None => set(&mut self.soonest, queue, next),
        }
        match waiting(records, later) {
            Some(it) => it.sooner = last,
            None => set(&mut self.latest, queue, last),
        }
    }
}

fn set(ends: &mut [u32; Wait::ALL.len()], queue: Wait, at: u32) {
    if let Some(end) = ends.get_mut(queue as usize) {
        *end = at;
    }
}
