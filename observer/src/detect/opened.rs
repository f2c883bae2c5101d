//! From where in their programs the sockets of a leak were opened.
//!
//! Takes sockets with the stacks of their openers; gives the places where most were opened.
//! What the functions there are called, somebody else says who can look into the program.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::CloseWait;
use crate::event::Timestamp;
use crate::track::{Opening, Stack};

/// From where the sockets of a leak were opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// Where most were opened, most first; at most [`Self::MOST_PLACES`].
    pub places: Vec<Place>,
    /// Sockets of which that is not known.
    pub unknown: usize,
    /// The same places by the names of their functions, most first; at most
    /// [`Self::MOST_NAMED`].
    pub named: Vec<Named>,
    /// Why it is not known of some, or of all.
    pub why_unknown: Option<&'static str>,
}

/// One stack in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Sockets opened there.
    pub count: usize,
    /// The process.
    pub pid: u32,
    /// When the first of them was opened.
    pub since: Timestamp,
    /// The stack.
    pub stack: Stack,
}

/// Stacks that read the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Sockets opened there.
    pub count: usize,
    /// The process that opened most of them.
    pub pid: u32,
    /// The functions, innermost first.
    pub frames: Vec<String>,
    /// Why there are addresses instead.
    pub why_not: Option<String>,
}

impl Opened {
    /// Places kept.
    pub const MOST_PLACES: usize = 16;

    /// Stacks told.
    pub const MOST_NAMED: usize = 3;

    /// Of all sockets of a leak.
    pub(super) fn of(sockets: &[CloseWait]) -> Self {
        let mut places: BTreeMap<(u32, &Stack), Place> = BTreeMap::new();
        let mut unknown = 0;
        for socket in sockets {
            let (Some(Opening { at, stack }), Some(task)) = (&socket.opening, &socket.opened_by)
            else {
                unknown += 1;
                continue;
            };
            let place = places.entry((task.pid, stack)).or_insert_with(|| Place {
                count: 0,
                pid: task.pid,
                since: *at,
                stack: Stack::clone(stack),
            });
            place.count += 1;
            place.since = place.since.min(*at);
        }
        let mut places: Vec<Place> = places.into_values().collect();
        places.sort_by_key(|place| Reverse(place.count));
        places.truncate(Self::MOST_PLACES);
        Self {
            places,
            unknown,
            ..Self::default()
        }
    }

    /// Says what the functions of a place are called, and joins those that read the same.
    pub fn name(&mut self, names: impl Fn(&Place) -> (Vec<String>, Option<String>)) {
        self.named.clear();
        for place in &self.places {
            let (frames, why_not) = names(place);
            let same = |it: &&mut Named| it.frames == frames && it.why_not == why_not;
            if let Some(named) = self.named.iter_mut().find(same) {
                named.count += place.count;
                continue;
            }
            self.named.push(Named {
                count: place.count,
                pid: place.pid,
                frames,
                why_not,
            });
        }
        self.named.sort_by_key(|named| Reverse(named.count));
        self.named.truncate(Self::MOST_NAMED);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Opened, Opening};
    use crate::detect::sample::{SYSCTLS, at, census, seen};
    use crate::detect::{Age, CloseWait};
    use crate::event::{State, Task};

    fn opened(pid: u32, second: u64, frames: Option<&[u64]>) -> CloseWait {
        let seen = seen(State::CloseWait, second);
        let census = census(at(9), &[seen], &SYSCTLS);
        let looked = census.namespaces.values().next().unwrap();
        let age = Age::exactly(Duration::from_secs(70));
        CloseWait {
            opened_by: Some(Task {
                pid,
                comm: "crawler".into(),
                exiting: false,
            }),
            opening: frames.map(|frames| Opening {
                at: at(second),
                stack: frames.into(),
            }),
            ..CloseWait::new(1, seen, looked, age)
        }
    }

    #[test]
    fn places_are_told_by_how_many_were_opened_there() {
        let sockets = [
            opened(7, 3, Some(&[1, 2])),
            opened(7, 4, Some(&[1, 3])),
            opened(7, 2, Some(&[1, 3])),
            opened(8, 1, Some(&[1, 3])),
            opened(8, 5, None),
        ];
        let told = Opened::of(&sockets);
        let places = told.places.iter();
        let places: Vec<_> = places
            .map(|it| (it.count, it.pid, it.since, &*it.stack))
            .collect();
        assert_eq!(
            places,
            [
                (2, 7, at(2), &[1, 3][..]),
                (1, 7, at(3), &[1, 2][..]),
                (1, 8, at(1), &[1, 3][..])
            ]
        );
        assert_eq!(told.unknown, 1);
    }

    #[test]
    fn places_of_several_processes_that_read_the_same_are_one() {
        let sockets = [
            opened(7, 3, Some(&[1, 2])),
            opened(7, 4, Some(&[1, 2])),
            opened(8, 1, Some(&[1, 3])),
            opened(9, 1, Some(&[4])),
        ];
        let mut told = Opened::of(&sockets);
        told.name(|place| match place.pid {
            9 => (vec!["0x4".to_owned()], Some("gone".to_owned())),
            _ => (vec!["connects".to_owned()], None),
        });
        let named: Vec<_> = told.named.iter().map(|it| (it.count, it.pid)).collect();
        assert_eq!(named, [(3, 7), (1, 9)]);
    }
}
