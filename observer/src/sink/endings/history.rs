//! Endings of the last minutes, counted, and the last of each that was not orderly.
//!
//! Takes verdicts from the event loop, those of a round at once; gives what is known of the last
//! minutes to the web. It is bounded, and neither side ever waits for more than a copy of it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::classify::{
    Closer, Confidence, Ending, Group, Initiator, LeftBehind, Role, TimeWait, Verdict,
};
use crate::event::{Ends, Task, Timestamp};

/// What is counted as one time.
pub(super) const SLOT: Duration = Duration::from_secs(10);

/// Slots of a quarter of an hour; the one that is not over comes on top.
pub(super) const SLOTS: usize = 91;

/// Kept one by one of each ending that is not orderly, so that many of one leave those of
/// another where they are.
const KEPT: usize = 16;

const ENDINGS: usize = Ending::ALL.len();
const ROLES: usize = Role::ALL.len();

/// Counts by ending, then role.
pub(super) type Counts = [[u32; ROLES]; ENDINGS];

/// What both sides share.
#[derive(Debug, Default)]
pub struct History(Mutex<Book>);

/// What the event loop notes in a round.
#[derive(Debug)]
pub struct Notes {
    counts: Counts,
    /// Indexed by ending; the newest last.
    recent: [VecDeque<Notable>; ENDINGS],
    any: bool,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            recent: [const { VecDeque::new() }; ENDINGS],
            any: false,
        }
    }
}

/// As it is at one time.
#[derive(Debug)]
pub(super) struct Lately {
    /// Since when endings are counted; `None` before the probes are attached.
    pub(super) since: Option<Timestamp>,
    /// Events were lost in the time that the slots cover.
    pub(super) lossy: bool,
    /// The oldest first; the last is not over.
    pub(super) slots: Vec<Counts>,
    /// The newest first.
    pub(super) recent: Vec<Notable>,
}

/// One connection end that did not end orderly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notable {
    pub(super) ended_at: Timestamp,
    pub(super) born_at: Option<Timestamp>,
    pub(super) ending: Ending,
    pub(super) role: Role,
    pub(super) initiator: Option<Initiator>,
    pub(super) closer: Option<Closer>,
    pub(super) time_wait: TimeWait,
    pub(super) left_behind: LeftBehind,
    pub(super) ends: Option<Ends>,
    pub(super) netns: u32,
    pub(super) closed_by: Option<Task>,
    pub(super) opened_by: Option<Task>,
    pub(super) confidence: Confidence,
    pub(super) doubt: Option<&'static str>,
}

#[derive(Debug)]
struct Book {
    since: Option<Timestamp>,
    lost_at: Option<Timestamp>,
    /// A ring: the place of a slot is its number's remainder.
    slots: Box<[Slot]>,
    /// Indexed by ending; the newest last.
    recent: [VecDeque<Notable>; ENDINGS],
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    counts: Counts,
}

impl History {
    /// Endings are counted from now on.
    pub fn begin(&self, now: Timestamp) {
        self.with(|book| book.since = Some(now));
    }

    /// Adds what was noted, and leaves nothing of it.
    pub fn add(&self, now: Timestamp, notes: &mut Notes) {
        if !std::mem::take(&mut notes.any) {
            return;
        }
        self.with(|book| {
            let counts = book.slot(now).iter_mut().flatten();
            for (count, more) in counts.zip(notes.counts.iter_mut().flatten()) {
                *count = count.saturating_add(std::mem::take(more));
            }
            for (recent, noted) in book.recent.iter_mut().zip(&mut notes.recent) {
                noted.drain(..).for_each(|it| keep(recent, it));
            }
        });
    }

    /// Events were lost, so that some endings may be missing or not told right.
    pub fn note_loss(&self, now: Timestamp) {
        self.with(|book| book.lost_at = Some(now));
    }

    /// What is known of the last minutes.
    pub(super) fn lately(&self, now: Timestamp) -> Lately {
        let mut lately = self.with(|book| book.lately(now));
        lately.recent.sort_by_key(|it| Reverse(it.ended_at));
        lately
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notes {
    /// Counts an ended connection.
    pub fn note(&mut self, verdict: &Verdict) {
        self.any = true;
        let by_role = self.counts.get_mut(verdict.ending as usize);
        if let Some(count) = by_role.and_then(|it| it.get_mut(verdict.role as usize)) {
            *count = count.saturating_add(1);
        }
        let recent = self.recent.get_mut(verdict.ending as usize);
        let notable = verdict.ending.group() != Group::Orderly;
        if let Some(recent) = recent.filter(|_| notable) {
            keep(recent, Notable::new(verdict));
        }
    }
}

/// Adds the newest, and lets the oldest go if there are too many.
fn keep(recent: &mut VecDeque<Notable>, notable: Notable) {
    if recent.len() >= KEPT {
        recent.pop_front();
    }
    recent.push_back(notable);
}

impl Default for Book {
    fn default() -> Self {
        let none = Slot {
            number: 0,
            counts: Counts::default(),
        };
        Self {
            since: None,
            lost_at: None,
            slots: vec![none; SLOTS].into(),
            recent: [const { VecDeque::new() }; ENDINGS],
        }
    }
}

impl Book {
    /// The counts of this time.
    fn slot(&mut self, now: Timestamp) -> &mut Counts {
        let number = number(now);
        let place = place(number);
        #[expect(
            clippy::indexing_slicing,
            reason = "a remainder is less than its divisor"
        )]
        let slot = &mut self.slots[place];
        if slot.number != number {
            *slot = Slot {
                number,
                counts: Counts::default(),
            };
        }
        &mut slot.counts
    }

    fn lately(&self, now: Timestamp) -> Lately {
        let last = number(now);
        let first = last.saturating_sub(SLOTS as u64 - 1);
        let counts = |number: u64| {
            let slot = self.slots.get(place(number));
            slot.filter(|it| it.number == number)
                .map_or_else(Counts::default, |it| it.counts)
        };
        Lately {
            since: self.since,
            lossy: self.lost_at.is_some_and(|at| number(at) >= first),
            slots: (first..=last).map(counts).collect(),
            recent: self.recent.iter().flatten().cloned().collect(),
        }
    }
}

impl Notable {
    fn new(verdict: &Verdict) -> Self {
        Self {
            ended_at: verdict.ended_at,
            born_at: verdict.born_at,
            ending: verdict.ending,
            role: verdict.role,
            initiator: verdict.initiator,
            closer: verdict.closer,
            time_wait: verdict.time_wait,
            left_behind: verdict.left_behind,
            ends: verdict.ends,
            netns: verdict.netns,
            closed_by: verdict.closed_by,
            opened_by: verdict.opened_by,
            confidence: verdict.confidence,
            doubt: verdict.doubt,
        }
    }
}

fn number(at: Timestamp) -> u64 {
    at.since(Timestamp(0)).as_secs() / SLOT.as_secs()
}

fn place(number: u64) -> usize {
    usize::try_from(number % SLOTS as u64).unwrap_or_default()
}
