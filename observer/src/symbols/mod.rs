//! What the functions are called from which leaked connections were opened.
//!
//! Takes the leaks of a census with the stacks of their openers; gives each its functions, as
//! far as they can be told while the process lives. Only what leaks is looked up, each stack
//! once, a few at a census, and never on the event loop.

mod helper;
mod resolve;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

pub use resolve::{Answer, Question, resolve, symbolizer};

use crate::clock::Clock;
use crate::detect::{Leak, Place, Service};
use crate::track::Stack;
use helper::Helper;

/// How long the look-ups of one census may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stacks looked up at one census.
const MOST_ASKED: usize = 32;

/// Look-ups of one stack that may fail, as on a machine that is short of time.
const MOST_FAILED: u32 = 3;

/// Which stacks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// Nobody asked for them.
    Off,
    /// Of all who connect; of those who accept where accept is probed.
    On {
        /// It is.
        at_accept: bool,
    },
}

/// The functions of the stacks of all leaks.
#[derive(Debug)]
pub struct Symbols {
    stacks: Stacks,
    known: HashMap<(u32, Stack), Known>,
    helper: Helper,
}

/// What was told of one stack.
#[derive(Debug)]
struct Known {
    answer: Answer,
    /// Look-ups that failed; 0 if it was answered.
    failed: u32,
}

impl Symbols {
    /// Knows nothing yet.
    pub fn new(stacks: Stacks) -> Self {
        Self {
            stacks,
            known: HashMap::new(),
            helper: Helper::default(),
        }
    }

    /// Says of each leak from where its sockets were opened, or why not.
    pub fn name(&mut self, leaks: &mut [Leak], clock: &Clock) {
        self.helper.reap();
        self.look_up(leaks, clock);
        for leak in leaks {
            leak.opened.name(|place| self.told(place));
            if leak.opened.unknown > 0 {
                leak.opened.why_unknown = Some(self.why_unknown(leak));
            }
        }
    }

    fn look_up(&mut self, leaks: &[Leak], clock: &Clock) {
        let places = leaks.iter().flat_map(|leak| &leak.opened.places);
        let mut wanted = HashSet::new();
        let mut asked = Vec::new();
        for place in places {
            let key = key(place);
            let failed = match self.known.get(&key) {
                None => Some(0),
                Some(known) => Some(known.failed).filter(|it| (1..MOST_FAILED).contains(it)),
            };
            if let Some(failed) = failed.filter(|_| !wanted.contains(&key)) {
                asked.push((failed, place));
            }
            wanted.insert(key);
        }
        self.known.retain(|key, _| wanted.contains(key));
        if asked.is_empty() {
            return;
        }
        // What failed before must not keep the others from being looked up.
        asked.sort_by_key(|(failed, _)| *failed);
        asked.truncate(MOST_ASKED);
        let questions: Vec<Question> = asked.iter().map(|(_, place)| question(place)).collect();
        let answers = self.helper.ask(&questions, clock, PATIENCE);
        for ((before, place), answer) in asked.into_iter().zip(answers) {
            let (answer, failed) = match answer {
                Ok(answer) => (answer, 0),
                Err(why_not) => (Answer::bare(&place.stack, why_not), before + 1),
            };
            self.known.insert(key(place), Known { answer, failed });
        }
    }

    fn told(&self, place: &Place) -> (Vec<String>, Option<String>) {
        let known = self.known.get(&key(place));
        let answer = match known {
            Some(known) => known.answer.clone(),
            None => Answer::bare(&place.stack, "not looked up yet".to_owned()),
        };
        (answer.frames, answer.why_not)
    }

    fn why_unknown(&self, leak: &Leak) -> &'static str {
        match self.stacks {
            Stacks::Off => "the agent runs without --stacks",
            Stacks::On { .. } if !leak.accepted => "nobody accepted them",
            Stacks::On { at_accept: false } if matches!(leak.service, Service::Local(_)) => {
                "no stack at accept with this backend"
            }
            Stacks::On { .. } => {
                "opened before the agent ran, or its event was lost, or the stack was not readable"
            }
        }
    }
}

fn key(place: &Place) -> (u32, Stack) {
    (place.pid, Stack::clone(&place.stack))
}

fn question(place: &Place) -> Question {
    Question {
        pid: place.pid,
        at_ns: place.since.0,
        frames: place.stack.to_vec(),
    }
}
