//! Connections that the tracker still follows and the kernel no longer has.
//!
//! Takes each census with what the tracker knew just before it; gives what two censuses in a row
//! did not find, so that neither a socket that a dump skipped nor one that closed meanwhile is
//! taken for one.

use std::collections::{HashMap, HashSet};

use crate::census::{Census, Sought};
use crate::event::{Ends, Timestamp};
use crate::track::Standing;

/// Follows suspects from census to census.
#[derive(Debug, Default)]
pub struct Ghosts {
    /// Connections that the last census did not find.
    suspects: HashSet<(u64, Timestamp, Timestamp)>,
}

impl Ghosts {
    /// What is gone for certain, of closing connections and of open ones that were sought. Of a
    /// namespace that was not looked into whole, nobody can tell.
    pub fn look(
        &mut self,
        census: &Census,
        closing: Vec<Standing>,
        (mut open, sought): (Vec<Standing>, &Sought),
    ) -> Vec<Standing> {
        let before = std::mem::take(&mut self.suspects);
        let mut missing = not_there(census, closing);
        open.retain(|it| {
            census.namespaces.contains_key(&it.netns) && sought.is_left(it.netns, it.ends)
        });
        missing.append(&mut open);
        let mut gone = Vec::new();
        for it in missing {
            let name = (it.sock.0, it.first_at, it.since);
            if before.contains(&name) {
                gone.push(it);
            } else {
                self.suspects.insert(name);
            }
        }
        gone
    }
}

/// Those of these that no namespace shows among its closing sockets.
fn not_there(census: &Census, mut closing: Vec<Standing>) -> Vec<Standing> {
    let mut there: HashMap<u32, Option<HashSet<Ends>>> = HashMap::new();
    closing.retain(|it| {
        let looked = census.namespaces.get(&it.netns);
        let there = there
            .entry(it.netns)
            .or_insert_with(|| looked.and_then(|it| it.tally.closing_ends()));
        there
            .as_ref()
            .is_some_and(|there| !there.contains(&it.ends))
    });
    closing
}

#[cfg(test)]
mod tests {
    use super::Ghosts;
    use crate::census::{Census, Sought};
    use crate::detect::sample::{self, at};
    use crate::event::State;
    use crate::track::Standing;

    #[test]
    fn only_what_two_censuses_in_a_row_do_not_find_is_gone() {
        let standing = sample::standing(at(930));
        let without = sample::census(at(1000), &[], &sample::SYSCTLS);
        let seen = sample::seen(State::CloseWait, 5);
        let with = sample::census(at(1000), &[seen], &sample::SYSCTLS);
        let mut ghosts = Ghosts::default();
        let none = Sought::default();
        let mut look = |census: &Census| {
            let gone = ghosts.look(census, vec![standing.clone()], (Vec::new(), &none));
            gone.len()
        };
        assert_eq!([look(&without), look(&with), look(&without)], [0, 0, 0]);
        assert_eq!(look(&without), 1);
    }

    #[test]
    fn nothing_is_gone_where_nobody_looked_and_what_has_moved_on_is_another() {
        let mut ghosts = Ghosts::default();
        let standing = sample::standing(at(930));
        let none = Sought::default();
        let mut look = |census: &Census, one: &Standing| {
            ghosts.look(census, vec![one.clone()], (Vec::new(), &none))
        };
        let blind = Census::default();
        for _ in 0..3 {
            assert_eq!(look(&blind, &standing), []);
        }
        let without = sample::census(at(1000), &[], &sample::SYSCTLS);
        assert_eq!(look(&without, &standing), []);
        let later = sample::standing(at(990));
        assert_eq!(look(&without, &later), []);
    }

    #[test]
    fn an_open_connection_is_gone_when_it_was_sought_twice_in_a_namespace_that_was_looked_into() {
        let standing = sample::standing(at(930));
        let name = (standing.netns, standing.ends);
        let mut ghosts = Ghosts::default();
        let mut look = |census: &Census, is_found: bool| {
            let mut sought = Sought::new([name]);
            if is_found {
                sought.found(name.0, name.1);
            }
            let open = vec![standing.clone()];
            ghosts.look(census, Vec::new(), (open, &sought)).len()
        };
        let (blind, looked) = (
            Census::default(),
            sample::census(at(1000), &[], &sample::SYSCTLS),
        );
        assert_eq!([look(&blind, false), look(&blind, false)], [0, 0]);
        assert_eq!([look(&looked, false), look(&looked, true)], [0, 0]);
        assert_eq!([look(&looked, false), look(&looked, false)], [0, 1]);
    }
}
