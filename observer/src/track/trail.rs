//! What happened to a connection, in order, and who did it.
//!
//! Takes steps; gives them back. A step takes two bytes for what it was and who did it, and as
//! many as it needs for how long after the first event it was: seven together, in the first
//! eighteen minutes. Bounded: beyond the most, steps are counted.

use smallvec::SmallVec;

use crate::event::{State, Task, Timestamp};

use super::people::{People, Who};

macro_rules! words {
    ($($word:ident = $label:literal, $state:expr;)+) => {
        /// What a step was, and the state afterwards if it changed that.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Word { $($word,)+ }

        impl Word {
            const ALL: &[Self] = &[$(Self::$word),+];

            const fn label(self) -> &'static str {
                match self { $(Self::$word => $label,)+ }
            }

            const fn state(self) -> Option<State> {
                match self { $(Self::$word => $state,)+ }
            }
        }
    };
}

words! {
    SynSent = "syn_sent", Some(State::SynSent);
    SynReceived = "syn_received", Some(State::SynRecv);
    Established = "established", Some(State::Established);
    FinSent = "fin_sent", Some(State::FinWait1);
    FinAnswered = "fin_sent", Some(State::LastAck);
    FinAcked = "fin_acked", Some(State::FinWait2);
    PeerFin = "peer_fin", Some(State::CloseWait);
    FinsCrossed = "peer_fin", Some(State::Closing);
    ConnectEnded = "connect_ended", Some(State::Close);
    Closed = "closed", Some(State::Close);
    TimeWait = "time_wait", Some(State::TimeWait);
    Listening = "listening", Some(State::Listen);
    Requested = "requested", Some(State::NewSynRecv);
    CloseCalled = "close_called", None;
    Accepted = "accepted", None;
    DataAfterClose = "data_after_close", None;
    ResetReceived = "reset_received", None;
    ResetSent = "reset_sent", None;
    ResetReplied = "reset_replied", None;
    Disconnected = "disconnected", None;
    Aborted = "aborted", None;
    Forgotten = "forgotten", None;
    MinisockStarted = "minisock_started", None;
    MinisockMoved = "time_wait", None;
    MinisockGotFin = "peer_fin", None;
    MinisockEnded = "minisock_ended", None;
    FinWait2Expired = "fin_wait2_expired", None;
}

/// One piece of evidence of a connection's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What: a word such as `fin_sent`, `peer_fin`, `reset_received`, `close_called`.
    pub event: &'static str,
    /// The state afterwards, if the step changed it.
    pub state: Option<State>,
    /// Who did it, where somebody did.
    pub by: Option<Task>,
}

/// What stands before the time of a step: five bits for the word, six for who did it, and the
/// rest for the bytes that the time takes.
#[derive(Clone, Copy)]
struct Head(u16);

impl Head {
    const BITS: u32 = u16::BITS;
    const WHO: u32 = 5;
    const LENGTH: u32 = Self::WHO + 6;

    fn new(word: Word, by: Option<Who>, length: u16) -> Self {
        let who = u16::from(Who::number(by));
        Self(word as u16 | who << Self::WHO | length << Self::LENGTH)
    }

    fn word(self) -> Option<Word> {
        let number = self.0 & ((1 << Self::WHO) - 1);
        Word::ALL.get(usize::from(number)).copied()
    }

    fn who(self) -> Option<Who> {
        let number = (self.0 >> Self::WHO) & ((1 << (Self::LENGTH - Self::WHO)) - 1);
        Who::from_number(u8::try_from(number).unwrap_or(0))
    }

    fn length(self) -> usize {
        usize::from(self.0 >> Self::LENGTH)
    }
}

/// Those of a connection of up to three days that ends without much ado.
const BYTES: usize = 56;

/// The steps of a connection, behind each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    bytes: SmallVec<[u8; BYTES]>,
    count: u32,
    dropped: u32,
}

impl Trail {
    /// Adds a step, as long as there are fewer than `most`. `first` is the same for all.
    pub(super) fn add(
        &mut self,
        first: Timestamp,
        (at, word): (Timestamp, Word),
        by: Option<Who>,
        most: usize,
    ) {
        if self.count as usize >= most {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        // What comes before the first takes all eight bytes.
        let after = at.0.wrapping_sub(first.0);
        let length = (u64::BITS - after.leading_zeros()).div_ceil(8);
        let head = Head::new(word, by, u16::try_from(length).unwrap_or(0));
        let step = (u128::from(after) << Head::BITS) | u128::from(head.0);
        let length = (Head::BITS / 8 + length) as usize;
        let step = step.to_le_bytes();
        self.bytes
            .extend_from_slice(step.get(..length).unwrap_or_default());
        self.count += 1;
    }

    /// The steps as they are shown.
    pub(super) fn steps<'a>(&'a self, first: Timestamp, people: &'a People) -> Steps<'a> {
        Steps {
            bytes: &self.bytes,
            left: self.count as usize,
            first,
            people,
        }
    }

    /// Steps that did not fit.
    pub(super) fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.count, self.dropped) = (0, 0);
    }
}

/// One step after the other.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    bytes: &'a [u8],
    left: usize,
    first: Timestamp,
    people: &'a People,
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        let head = Head(u16::from_le_bytes(*head));
        let (time, rest) = rest.split_at_checked(head.length())?;
        let mut after = [0; 8];
        after.get_mut(..time.len())?.copy_from_slice(time);
        let word = head.word()?;
        self.bytes = rest;
        self.left -= 1;
        Some(Step {
            at: Timestamp(self.first.0.wrapping_add(u64::from_le_bytes(after))),
            event: word.label(),
            state: word.state(),
            by: head.who().map(|who| self.people.task(who)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Steps<'_> {}

const _: () = assert!(Word::ALL.len() <= 1 << Head::WHO);

#[cfg(test)]
mod tests {
    use super::{People, Step, Trail, Word};
    use crate::event::{State, Task, Timestamp};

    fn task(pid: u32) -> Task {
        Task {
            pid,
            ..Task::default()
        }
    }

    #[test]
    fn steps_beyond_the_most_are_counted() {
        let (mut trail, mut people) = (Trail::default(), People::default());
        for pid in 0..7 {
            let by = Some(people.add(task(pid)));
            let step = (Timestamp(pid.into()), Word::Accepted);
            trail.add(Timestamp(0), step, by, 5);
        }
        let steps: Vec<_> = trail.steps(Timestamp(0), &people).collect();
        assert_eq!((steps.len(), trail.dropped()), (5, 2));
        assert_eq!((steps[4].event, steps[4].by), ("accepted", Some(task(4))));
        trail.clear();
        let left = trail.steps(Timestamp(0), &people).len();
        assert_eq!((left, trail.dropped()), (0, 0));
    }

    #[test]
    fn every_word_comes_back_with_its_time_and_who_did_it() {
        let (mut trail, mut people) = (Trail::default(), People::default());
        let first = Timestamp(1 << 40);
        let who: Vec<_> = (0..48).map(|pid| people.add_at_exit(task(pid))).collect();
        let mut expected = Vec::new();
        for (index, word) in Word::ALL.iter().enumerate() {
            for shift in 0..64 {
                let at = Timestamp(first.0.wrapping_add(u64::MAX >> shift));
                let by = who.get(index * 2).copied();
                trail.add(first, (at, *word), by, usize::MAX);
                expected.push(Step {
                    at,
                    event: word.label(),
                    state: word.state(),
                    by: by.map(|by| people.task(by)),
                });
            }
        }
        assert_eq!(trail.steps(first, &people).len(), expected.len());
        let steps: Vec<_> = trail.steps(first, &people).collect();
        assert_eq!(steps, expected);
        assert_eq!(steps[5 * 64].state, Some(State::FinWait2));
    }
}
