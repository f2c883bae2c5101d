//! What happened to a connection, in order, and who had to do with it.
//!
//! Takes steps; gives them back. A step takes 16 bytes: its word is a number, and each task is
//! kept once for a connection and named by its place. Bounded: beyond the most, steps are counted.

use crate::event::{State, Task, Timestamp};

/// A task that had to do with a connection: its place among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(u8);

/// Different tasks kept of a connection. A new one beyond takes the place of the last but one; the
/// last is for whoever ran when the connection went to CLOSE, and may have nothing to do with it.
const MOST_TASKS: usize = 48;

/// The tasks that had to do with a connection, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct People {
    /// Most connections have to do with one.
    first: Option<Task>,
    more: Vec<Task>,
}

impl People {
    /// One who acted on it.
    pub(super) fn add(&mut self, task: Task) -> Who {
        self.keep(task, MOST_TASKS - 2)
    }

    /// Whoever ran when it went to CLOSE.
    pub(super) fn add_at_exit(&mut self, task: Task) -> Who {
        self.keep(task, MOST_TASKS - 1)
    }

    /// At the end, or in the place before `most` where that many are kept beside the first.
    fn keep(&mut self, task: Task, most: usize) -> Who {
        if *self.first.get_or_insert(task) == task {
            return Who(0);
        }
        let known = self.more.iter().position(|it| *it == task);
        let place = known.unwrap_or_else(|| {
            let place = self.more.len().min(most - 1);
            match self.more.get_mut(place) {
                Some(before) => *before = task,
                None => self.more.push(task),
            }
            place
        });
        Who(u8::try_from(place + 1).unwrap_or(u8::MAX))
    }

    pub(super) fn task(&self, who: Who) -> Task {
        let more = || self.more.get(usize::from(who.0).checked_sub(1)?).copied();
        let task = if who.0 == 0 { self.first } else { more() };
        task.unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.first = None;
        self.more.clear();
    }
}

macro_rules! words {
    ($($word:ident = $label:literal,)+) => {
        /// What a step was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Word { $($word,)+ }

        impl Word {
            pub(super) const fn label(self) -> &'static str {
                match self { $(Self::$word => $label,)+ }
            }
        }
    };
}

words! {
    SynSent = "syn_sent",
    SynReceived = "syn_received",
    Established = "established",
    FinSent = "fin_sent",
    FinAcked = "fin_acked",
    PeerFin = "peer_fin",
    ConnectEnded = "connect_ended",
    Closed = "closed",
    TimeWait = "time_wait",
    Listening = "listening",
    Requested = "requested",
    CloseCalled = "close_called",
    Accepted = "accepted",
    DataAfterClose = "data_after_close",
    ResetReceived = "reset_received",
    ResetSent = "reset_sent",
    ResetReplied = "reset_replied",
    Disconnected = "disconnected",
    Aborted = "aborted",
    Forgotten = "forgotten",
    MinisockStarted = "minisock_started",
    MinisockEnded = "minisock_ended",
    FinWait2Expired = "fin_wait2_expired",
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

/// A step as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    at: Timestamp,
    word: Word,
    state: Option<State>,
    by: Option<Who>,
}

/// The steps of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    kept: Vec<Kept>,
    dropped: u32,
}

impl Trail {
    /// Adds a step, as long as there are fewer than `most`.
    pub(super) fn add(
        &mut self,
        (at, word): (Timestamp, Word),
        state: Option<State>,
        by: Option<Who>,
        most: usize,
    ) {
        if self.kept.len() >= most {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        if self.kept.len() == self.kept.capacity() {
            self.kept.reserve_exact(GROWS_BY);
        }
        self.kept.push(Kept {
            at,
            word,
            state,
            by,
        });
    }

    /// The steps as they are shown.
    pub(super) fn steps(&self, people: &People) -> impl ExactSizeIterator<Item = Step> {
        self.kept.iter().map(|kept| Step {
            at: kept.at,
            event: kept.word.label(),
            state: kept.state,
            by: kept.by.map(|who| people.task(who)),
        })
    }

    /// Steps that did not fit.
    pub(super) fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.dropped = 0;
    }
}

/// Room is made for so many steps at a time.
const GROWS_BY: usize = 4;

const _: () = assert!(size_of::<Kept>() == 16);

#[cfg(test)]
mod tests {
    use super::{MOST_TASKS, People, Trail, Word};
    use crate::event::{Task, Timestamp};

    fn task(pid: u32) -> Task {
        Task {
            pid,
            ..Task::default()
        }
    }

    #[test]
    fn a_task_is_kept_once_and_too_many_take_the_place_of_the_last() {
        let mut people = People::default();
        let who: Vec<_> = (0..3).map(|pid| people.add(task(pid))).collect();
        assert_eq!(people.add(task(1)), who[1]);
        for pid in 0..1000 {
            let who = people.add(task(pid));
            assert_eq!(people.task(who), task(pid));
        }
        assert_eq!(people.task(who[2]), task(2));
        let last = people.add(task(2000));
        let at_exit = people.add_at_exit(task(3000));
        assert_eq!(people.task(last), task(2000));
        assert_eq!(people.task(at_exit), task(3000));
        people.add(task(4000));
        assert_eq!(people.task(at_exit), task(3000));
        assert_eq!(people.more.len(), MOST_TASKS - 1);
    }

    #[test]
    fn steps_beyond_the_most_are_counted() {
        let (mut trail, mut people) = (Trail::default(), People::default());
        for pid in 0..7 {
            let by = Some(people.add(task(pid)));
            trail.add((Timestamp(pid.into()), Word::Accepted), None, by, 5);
        }
        let steps: Vec<_> = trail.steps(&people).collect();
        assert_eq!((steps.len(), trail.dropped()), (5, 2));
        assert_eq!((steps[4].event, steps[4].by), ("accepted", Some(task(4))));
        trail.clear();
        assert_eq!((trail.steps(&people).count(), trail.dropped()), (0, 0));
    }
}
