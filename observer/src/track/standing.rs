//! Which connections are open as far as is known: to be compared with what the kernel says.
//!
//! Takes a place to go on from; gives some [`Standing`]s at a time, so that nobody waits long
//! for it however many there are. Forgets what the kernel no longer has.

use std::num::NonZeroU64;

use crate::event::{Ends, SockId, State, Task, Timestamp};

use super::closed::{Gap, Origin};
use super::table::{Found, Slot};
use super::{Closed, Opening, Tracker};

/// Places of records from here on.
const RECORDS: usize = 1 << 31;

/// Which connections are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In SYN_SENT or ESTABLISHED.
    Open,
    /// In CLOSE_WAIT, FIN_WAIT1, FIN_WAIT2, CLOSING or LAST_ACK, as full sockets.
    Closing,
}

impl Stage {
    pub(super) const fn of(state: State) -> Option<Self> {
        match state {
            State::SynSent | State::Established => Some(Self::Open),
            State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck => Some(Self::Closing),
            State::SynRecv | State::TimeWait | State::Close | State::Listen | State::NewSynRecv => {
                None
            }
        }
    }
}

/// A connection end that is there, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// With `first_at`, which record it is.
    pub sock: SockId,
    /// Its first event.
    pub first_at: Timestamp,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Both ends.
    pub ends: Ends,
    /// The socket cookie, once somebody asked the kernel for one.
    pub cookie: Option<u64>,
    /// Its state.
    pub state: State,
    /// When it entered that state. What came later may have been lost.
    pub since: Timestamp,
    /// How it began.
    pub origin: Origin,
    /// Who accepted or connected.
    pub opened_by: Option<Task>,
    /// Who closed it, or shut down sending.
    pub closed_by: Option<Task>,
    /// From where, if that was asked for and told.
    pub opening: Option<Opening>,
}

impl Standing {
    fn of(stage: Stage, sock: SockId, facts: &Closed) -> Option<Self> {
        let meant = Stage::of(facts.state) == Some(stage);
        if !meant || facts.exit.is_some() || facts.minisock.is_some() {
            return None;
        }
        // A connect that began without a port has one by now that no event has told.
        let ends = facts.ends().filter(|ends| ends.local.port() != 0)?;
        let since = facts.since()?;
        let closed = facts.close_called.as_ref().map(|call| call.by);
        let closed_by = closed.or_else(|| facts.fin.as_ref().map(|fin| fin.by));
        Some(Self {
            sock,
            first_at: facts.first_at,
            netns: facts.netns,
            ends,
            cookie: facts.cookie.map(NonZeroU64::get),
            state: facts.state,
            since,
            origin: facts.origin,
            opened_by: facts.opened_by.map(|who| facts.task(who)),
            closed_by: closed_by.map(|who| facts.task(who)),
            opening: facts.opening.as_deref().cloned(),
        })
    }
}

impl Tracker {
    /// Connections in that stage among `most` places of the table from `from` on; and where to go
    /// on, if there are more. The places of what is merely open come first.
    pub fn standing(
        &self,
        stage: Stage,
        from: usize,
        most: usize,
    ) -> (Vec<Standing>, Option<usize>) {
        let first = match stage {
            Stage::Open => 0,
            // What the peer closed is there.
            Stage::Closing if self.table.opens.any_shut() => 0,
            Stage::Closing => RECORDS,
        };
        let from = from.max(first);
        if let Some(from) = from.checked_sub(RECORDS) {
            let (records, next) = self.table.records().slice(from, most);
            let standing = records.filter_map(|it| Standing::of(stage, it.sock()?, &it.facts));
            return (standing.collect(), next.map(|next| RECORDS + next));
        }
        let (standing, next) = self.table.opens.standing(stage, from, most);
        let records = (self.table.records().len() > 0).then_some(RECORDS);
        (standing, next.or(records))
    }

    /// The kernel no longer has this socket: its end was missed. Says whether it was still
    /// tracked, in that state since then.
    pub fn forget(&mut self, ghost: &Standing) -> bool {
        let Some(slot) = self.ghost(ghost) else {
            return false;
        };
        self.finalise(slot, Some(Gap::End));
        true
    }

    fn ghost(&mut self, ghost: &Standing) -> Option<Slot> {
        let slot = match self.table.find(ghost.sock)? {
            Found::Record(slot) => slot,
            Found::Open(at) if self.table.opens.get(at)?.is(ghost) => self.promote(at)?,
            Found::Open(_) => return None,
        };
        let facts = &self.table.record(slot)?.facts;
        let same = facts.first_at == ghost.first_at
            && facts.state == ghost.state
            && facts.since() == Some(ghost.since)
            && facts.exit.is_none();
        same.then_some(slot)
    }
}
