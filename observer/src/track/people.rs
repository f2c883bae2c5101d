//! Who had to do with a connection.
//!
//! Takes tasks; gives a [`Who`] for each, which stands for it in one byte. Bounded.

use std::num::NonZeroU8;

use smallvec::SmallVec;

use crate::event::Task;

/// A task that had to do with a connection: its place among those, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(NonZeroU8);

impl Who {
    fn at(place: usize) -> Self {
        let number = u8::try_from(place).unwrap_or(u8::MAX);
        Self(NonZeroU8::MIN.saturating_add(number))
    }

    fn place(self) -> usize {
        usize::from(self.0.get()) - 1
    }

    /// A number below 64; 0 for nobody.
    pub(super) fn number(who: Option<Self>) -> u8 {
        who.map_or(0, |who| who.0.get())
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        NonZeroU8::new(number).map(Self)
    }
}

/// Different tasks kept of a connection. A new one beyond takes the place of the last but one; the
/// last is for whoever ran when the connection went to CLOSE, and may have nothing to do with it.
const MOST_TASKS: usize = 48;

/// The tasks that had to do with a connection, each once. Most connections have to do with one,
/// and with another that runs when they go to CLOSE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct People(SmallVec<[Task; 2]>);

impl People {
    /// One who acted on it.
    pub(super) fn add(&mut self, task: Task) -> Who {
        self.keep(task, MOST_TASKS - 1)
    }

    /// Whoever ran when it went to CLOSE.
    pub(super) fn add_at_exit(&mut self, task: Task) -> Who {
        self.keep(task, MOST_TASKS)
    }

    /// At the end, or in the last place of `most`.
    fn keep(&mut self, task: Task, most: usize) -> Who {
        let known = self.0.iter().position(|it| *it == task);
        let place = known.unwrap_or_else(|| {
            let place = self.0.len().min(most - 1);
            if let Some(before) = self.0.get_mut(place) {
                *before = task;
            } else {
                self.0.reserve_exact(1);
                self.0.push(task);
            }
            place
        });
        Who::at(place)
    }

    pub(super) fn task(&self, who: Who) -> Task {
        self.0.get(who.place()).copied().unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_TASKS, People};
    use crate::event::Task;

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
        assert_eq!(people.0.len(), MOST_TASKS);
    }
}
