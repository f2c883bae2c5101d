//! What the census asks the event loop.
//!
//! Two halves of one channel: the census thread asks and waits, the event loop answers when it
//! comes to it. Each answer takes the loop far less than a millisecond.

use tokio::sync::{mpsc, oneshot};

use crate::classify::Verdict;
use crate::detect::Recent;
use crate::event::Timestamp;
use crate::track::{Stage, Standing, Tracker};

/// Places of the tracker's table in one answer.
const SLICE: usize = 4096;

/// Places of the tracker's table whose open connections are asked for at once.
const ROUND: usize = 8 * SLICE;

/// Ghosts in one question.
const GHOSTS: usize = 256;

/// A question.
#[derive(Debug)]
pub enum Ask {
    /// The connections in this stage in a slice of the table that starts there.
    Standing(
        Stage,
        usize,
        oneshot::Sender<(Vec<Standing>, Option<usize>)>,
    ),
    /// When events were lost last.
    LastLoss(oneshot::Sender<Option<Timestamp>>),
    /// The kernel has none of these; the answer is how many were still tracked.
    Forget(Vec<Standing>, oneshot::Sender<u64>),
    /// What happened since this was asked last.
    Recent(oneshot::Sender<Recent>),
}

/// Both halves.
pub fn channel() -> (Questions, Answers) {
    let (send, receive) = mpsc::channel(1);
    let answers = Answers {
        asked: receive,
        recent: Recent::default(),
    };
    (Questions(send), answers)
}

/// The half of the census thread. Whatever is asked, the answer is `None` once the event loop
/// is gone.
#[derive(Debug)]
pub struct Questions(mpsc::Sender<Ask>);

impl Questions {
    /// All closing connections, slice by slice.
    pub fn standing(&self) -> Option<Vec<Standing>> {
        let mut all = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            let (some, next) = self.ask(|reply| Ask::Standing(Stage::Closing, start, reply))?;
            all.extend(some);
            from = next;
        }
        Some(all)
    }

    /// The open connections in a part of the table that starts here; and where to go on, if there
    /// are more.
    pub fn open(&self, start: usize) -> Option<(Vec<Standing>, Option<usize>)> {
        let (mut all, mut from) = (Vec::new(), Some(start));
        while let Some(place) = from.filter(|place| *place < start + ROUND) {
            let (some, next) = self.ask(|reply| Ask::Standing(Stage::Open, place, reply))?;
            all.extend(some);
            from = next;
        }
        Some((all, from))
    }

    /// When events were lost last, if any were.
    pub fn last_loss(&self) -> Option<Option<Timestamp>> {
        self.ask(Ask::LastLoss)
    }

    /// Lets the tracker forget what the kernel no longer has: gives how many it still had.
    pub fn forget(&self, ghosts: &[Standing]) -> Option<u64> {
        let mut forgotten = 0;
        for some in ghosts.chunks(GHOSTS) {
            forgotten += self.ask(|reply| Ask::Forget(some.to_vec(), reply))?;
        }
        Some(forgotten)
    }

    /// What happened since this was asked last.
    pub fn recent(&self) -> Option<Recent> {
        self.ask(Ask::Recent)
    }

    fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.blocking_send(question(reply)).ok()?;
        answer.blocking_recv().ok()
    }
}

/// The half of the event loop.
#[derive(Debug)]
pub struct Answers {
    asked: mpsc::Receiver<Ask>,
    recent: Recent,
}

impl Answers {
    /// Counts what an ended connection tells.
    pub fn note_verdict(&mut self, verdict: &Verdict) {
        self.recent.note(verdict);
    }

    /// What is asked next; `None` if nothing more is.
    pub async fn next(&mut self) -> Option<Ask> {
        self.asked.recv().await
    }

    /// Answers what is asked, and says whether something was.
    pub fn answer_asked(&mut self, tracker: &mut Tracker) -> bool {
        let Ok(ask) = self.asked.try_recv() else {
            return false;
        };
        self.answer(ask, tracker);
        true
    }

    /// Answers. Whoever asked may be gone.
    pub fn answer(&mut self, ask: Ask, tracker: &mut Tracker) {
        match ask {
            Ask::Standing(stage, from, reply) => {
                drop(reply.send(tracker.standing(stage, from, SLICE)));
            }
            Ask::LastLoss(reply) => drop(reply.send(tracker.last_loss())),
            Ask::Forget(ghosts, reply) => {
                let forgotten = ghosts.iter().filter(|it| tracker.forget(it)).count();
                reply.send(forgotten as u64).unwrap_or_default();
            }
            Ask::Recent(reply) => drop(reply.send(self.recent.take())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{GHOSTS, channel};
    use crate::event::{Ends, SockId, State, Timestamp};
    use crate::track::{Limits, Origin, Sight, Standing, Tracker};

    fn empty() -> Tracker {
        let sight = Sight {
            close: true,
            minisocks: true,
            segment_of_reset: true,
            teardown: true,
            replies_beyond_sockets: true,
            replies: true,
            resets_sent: true,
            reset_reasons: true,
        };
        let limits = Limits {
            connections: 8,
            records: 8,
            steps: 8,
        };
        Tracker::new(sight, limits)
    }

    fn ghost() -> Standing {
        Standing {
            sock: SockId(1),
            first_at: Timestamp(1),
            netns: 1,
            ends: Ends {
                local: "127.0.0.1:80".parse().unwrap(),
                peer: "127.0.0.1:4000".parse().unwrap(),
            },
            cookie: None,
            state: State::CloseWait,
            since: Timestamp(2),
            origin: Origin::Unseen,
            opened_by: None,
            closed_by: None,
            opening: None,
        }
    }

    #[test]
    fn what_is_long_is_asked_in_parts_and_nothing_is_answered_once_the_loop_is_gone() {
        let (questions, mut answers) = channel();
        let asker = thread::spawn(move || {
            let forgotten = questions.forget(&vec![ghost(); 2 * GHOSTS + 1]);
            let there = (questions.standing(), questions.open(0));
            (forgotten, there, questions.last_loss(), questions.recent())
        });
        let mut tracker = empty();
        tracker.handle_loss(Timestamp(9));
        for _ in 0..6 {
            let ask = answers.asked.blocking_recv().unwrap();
            answers.answer(ask, &mut tracker);
        }
        drop(answers);
        let (forgotten, (standing, open), loss, recent) = asker.join().unwrap();
        assert_eq!((forgotten, loss), (Some(0), Some(Some(Timestamp(9)))));
        assert_eq!(
            (standing, open),
            (Some(Vec::new()), Some((Vec::new(), None)))
        );
        assert!(recent.is_none(), "{recent:?}");
    }
}
