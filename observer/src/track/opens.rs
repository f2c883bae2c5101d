//! The connections that are merely open, with whom they belong to.
//!
//! Takes and gives connections by place; what leads to them is the table's. Every operation takes
//! constant time.

use crate::event::{SockId, Task, Timestamp};

use super::closed::Closed;
use super::compact::Compact;
use super::facts::Change;
use super::open::Open;
use super::owners::Owners;
use super::slab::Slab;
use super::standing::{Stage, Standing};
use super::{Opening, Sight};

/// The place of a connection that is open, valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenSlot(u32);

impl OpenSlot {
    pub(super) const fn at(place: u32) -> Self {
        Self(place)
    }

    pub(super) const fn place(self) -> u32 {
        self.0
    }
}

/// All of them, from the longest untouched to the latest.
#[derive(Debug, Default)]
pub(super) struct Opens {
    slab: Slab<Open>,
    owners: Owners,
    /// How many of them the peer closed.
    shut: usize,
}

impl Opens {
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn get(&self, at: OpenSlot) -> Option<&Open> {
        self.slab.get(at.0)
    }

    /// Network namespace and ends.
    pub(super) fn place(&self, at: OpenSlot) -> Option<(u32, Compact)> {
        let open = self.get(at)?;
        Some((self.owners.get(open.owner()).netns, open.ends()))
    }

    /// Whether the peer closed any.
    pub(super) fn any_shut(&self) -> bool {
        self.shut > 0
    }

    /// Those in that stage among `most` places from `from` on; and where to go on.
    pub(super) fn standing(
        &self,
        stage: Stage,
        from: usize,
        most: usize,
    ) -> (Vec<Standing>, Option<usize>) {
        let (opens, next) = self.slab.slice(from, most);
        let standing = opens.filter_map(|open| open.standing(stage, &self.owners));
        (standing.collect(), next)
    }

    /// What begins with this change; `None` if more is to be said of it. It must be inserted.
    pub(super) fn begin(&mut self, sock: SockId, change: &Change<'_>) -> Option<Open> {
        Open::begin(sock, change, &mut self.owners)
    }

    pub(super) fn insert(&mut self, open: Open) -> OpenSlot {
        OpenSlot(self.slab.insert(open))
    }

    /// Takes it out; gives its pointer.
    pub(super) fn remove(&mut self, at: OpenSlot) -> Option<SockId> {
        let open = self.slab.remove(at.0)?;
        self.shut -= usize::from(open.is_shut());
        self.owners.give(open.owner());
        Some(open.sock())
    }

    /// Writes all that is known of it into `facts`, whatever they said before.
    pub(super) fn tell(&mut self, at: OpenSlot, facts: &mut Closed, sight: Sight, steps: usize) {
        if let Some(open) = self.slab.get_mut(at.0) {
            open.tell(self.owners.get(open.owner()), facts, sight, steps);
        }
    }

    /// From SYN_SENT to ESTABLISHED; false if that is not the change.
    pub(super) fn establish(&mut self, at: OpenSlot, change: &Change<'_>) -> bool {
        self.touched(at, |open, owners| open.establish(change, owners))
    }

    /// A process accepted it; false if more is to be said of that.
    pub(super) fn accept(&mut self, at: OpenSlot, when: Timestamp, task: Task) -> bool {
        self.touched(at, |open, owners| open.accept(when, task, owners))
    }

    /// The peer closes it; false if that is not the change.
    pub(super) fn shut(&mut self, at: OpenSlot, change: &Change<'_>) -> bool {
        let took = self.touched(at, |open, owners| open.shut(change, owners));
        self.shut += usize::from(took);
        took
    }

    /// Where it was opened from.
    pub(super) fn opened_from(&mut self, at: OpenSlot, opening: Option<Opening>) {
        if let Some(open) = self.slab.get_mut(at.0) {
            open.opened_from(opening);
        }
    }

    /// The one that was touched the longest time ago.
    pub(super) fn oldest(&self) -> Option<OpenSlot> {
        self.slab.oldest().map(OpenSlot)
    }

    /// Makes it the latest touched.
    pub(super) fn touch(&mut self, at: OpenSlot) {
        self.slab.touch(at.0);
    }

    /// Does this to it, and touches it if that says so.
    fn touched(&mut self, at: OpenSlot, act: impl FnOnce(&mut Open, &mut Owners) -> bool) -> bool {
        let open = self.slab.get_mut(at.0);
        let took = open.is_some_and(|open| act(open, &mut self.owners));
        if took {
            self.slab.touch(at.0);
        }
        took
    }
}
