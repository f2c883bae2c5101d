//! How TIME_WAIT minisocks end.
//!
//! Takes what happens to minisocks that no record knows; gives [`TimeWaitOver`]s. It keeps
//! no memory of a minisock in TIME_WAIT: only of the last few that a segment or an
//! administrator touched, and of those whose end a RST may still explain.

use std::collections::VecDeque;

use crate::event::{SockId, Task, Timestamp, TwStatus};

use super::{AFTER_EXIT, TimeWaitEnd, TimeWaitOver};

/// What precedes an end comes from the same CPU microseconds before.
const RECENT: usize = 64;
/// Ends that wait for the segment that killed them.
const PENDING: usize = 4096;

/// The short memory of TIME_WAIT ends.
#[derive(Debug, Default)]
pub(super) struct TimeWaits {
    recent: VecDeque<(SockId, TimeWaitEnd, Timestamp)>,
    pending: VecDeque<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    minisock: SockId,
    deadline: Timestamp,
    otherwise: TimeWaitOver,
}

impl TimeWaits {
    /// A segment met the minisock: explains an end before it, or one that follows.
    pub(super) fn answered(
        &mut self,
        minisock: SockId,
        at: Timestamp,
        answer: Option<TwStatus>,
        segment_is_reset: Option<bool>,
    ) -> Option<TimeWaitOver> {
        match answer? {
            TwStatus::Syn => self.remember(minisock, TimeWaitEnd::Reused, at),
            TwStatus::Success if segment_is_reset != Some(false) => {
                let killed = self
                    .pending
                    .iter()
                    .rposition(|end| end.minisock == minisock)?;
                let killed = self.pending.remove(killed)?.otherwise;
                return Some(TimeWaitOver {
                    how: TimeWaitEnd::Reset,
                    ..killed
                });
            }
            TwStatus::Success | TwStatus::Reset | TwStatus::Ack => {}
        }
        None
    }

    /// An administrator asks to destroy the minisock.
    pub(super) fn aborted(&mut self, minisock: SockId, at: Timestamp) {
        self.remember(minisock, TimeWaitEnd::Destroyed, at);
    }

    /// The minisock is gone. `None`: how is known later.
    pub(super) fn ended(
        &mut self,
        minisock: SockId,
        at: Timestamp,
        netns: u32,
        expired: Option<bool>,
        task: &Task,
    ) -> Option<TimeWaitOver> {
        let over = |how| TimeWaitOver { how, netns, at };
        if expired == Some(true) {
            return Some(over(TimeWaitEnd::Expired));
        }
        let told = self
            .recent
            .iter()
            .rposition(|(recent, _, told)| *recent == minisock && at.since(*told) < AFTER_EXIT);
        if let Some((_, how, _)) = told.and_then(|index| self.recent.remove(index)) {
            return Some(over(how));
        }
        let otherwise = if task.comm.is_kworker() {
            TimeWaitEnd::Other
        } else if expired.is_none() {
            TimeWaitEnd::Expired
        } else {
            TimeWaitEnd::Recycled
        };
        let overflow = (self.pending.len() >= PENDING).then(|| self.pending.pop_front());
        self.pending.push_back(Pending {
            minisock,
            deadline: at.after(AFTER_EXIT),
            otherwise: over(otherwise),
        });
        overflow.flatten().map(|end| end.otherwise)
    }

    /// An end that nothing explained until `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<TimeWaitOver> {
        self.next_deadline().filter(|deadline| *deadline <= now)?;
        self.pending.pop_front().map(|end| end.otherwise)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.pending.front().map(|end| end.deadline)
    }

    fn remember(&mut self, minisock: SockId, how: TimeWaitEnd, at: Timestamp) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((minisock, how, at));
    }
}
