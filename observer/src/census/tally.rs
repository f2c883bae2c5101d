//! The sockets of one network namespace, counted and sorted. Pure and bounded.
//!
//! Takes each socket as it is told; keeps those whose state cannot last on a healthy host
//! and counts the rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Busy, Seen, Sysctls};
use crate::event::{Ends, State};

/// What was found in one network namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Closing sockets that are kept at most.
    room: usize,
    /// Sockets by state, minisocks included.
    states: BTreeMap<State, u64>,
    /// Local port to listeners there.
    listeners: BTreeMap<u16, Vec<Seen>>,
    /// Full sockets in CLOSE_WAIT, FIN_WAIT1, FIN_WAIT2, CLOSING or LAST_ACK, by cookie.
    closing: HashMap<u64, Seen>,
    /// Such sockets that did not fit.
    not_kept: u64,
    /// Minisocks, whatever state they stand for.
    minisocks: u64,
    /// Ports in use.
    pub busy: Busy,
}

impl Tally {
    /// Sockets in a closing state kept in one census, but for the few that each namespace may
    /// keep in any case.
    pub const MOST_CLOSING: usize = 131_072;

    /// Kept of each namespace, however many the others have.
    const FEWEST_CLOSING: usize = 1024;

    /// Nothing yet, where the namespaces before this one have kept so many.
    pub fn after(kept: usize) -> Self {
        let room = Self::MOST_CLOSING.saturating_sub(kept);
        Self {
            room: room.max(Self::FEWEST_CLOSING),
            ..Self::default()
        }
    }

    /// Closing sockets that it keeps.
    pub fn kept(&self) -> usize {
        self.closing.len()
    }

    /// Adds a socket. One that is told again replaces what was told before.
    pub fn add(&mut self, seen: Seen, sysctls: &Sysctls) {
        self.count_only(seen, sysctls);
        if seen.minisock.is_some() || !is_closing(seen.state) {
            return;
        }
        if self.closing.len() >= self.room && !self.closing.contains_key(&seen.cookie) {
            self.not_kept += 1;
        } else if let Some(before) = self.closing.insert(seen.cookie, seen) {
            self.uncount(before.state);
        }
    }

    /// Counts a socket of which no more is to be told.
    pub fn count_only(&mut self, seen: Seen, sysctls: &Sysctls) {
        let port = seen.ends.local.port();
        let serves = self.listener(seen.ends).is_some() || !sysctls.is_ephemeral(port);
        match (seen.state, serves) {
            (State::Listen, _) => {}
            (_, false) => self.busy.add_client(&seen, sysctls.tw_reuse_delay),
            (State::TimeWait, true) => self.busy.add_served(port),
            (_, true) => {}
        }
        if seen.state == State::Listen {
            let there = self.listeners.entry(seen.ends.local.port()).or_default();
            there.push(seen);
        }
        *self.states.entry(seen.state).or_default() += 1;
        self.minisocks += u64::from(seen.minisock.is_some());
    }

    fn uncount(&mut self, state: State) {
        if let Some(count) = self.states.get_mut(&state) {
            *count -= 1;
        }
    }

    /// Why it is not whole, if it is not.
    pub(super) fn missing(&self, netns: u32) -> Option<String> {
        let not_kept = self.not_kept;
        (not_kept > 0).then(|| {
            format!(
                "{not_kept} closing sockets of network namespace {netns}, beyond the first {}",
                self.room
            )
        })
    }

    /// How many sockets are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// How many sockets are minisocks: in TIME_WAIT, or in FIN_WAIT2 after close().
    pub fn minisocks(&self) -> u64 {
        self.minisocks
    }

    /// The ends of every full socket in a closing state; `None` if some were not kept.
    pub fn closing_ends(&self) -> Option<HashSet<Ends>> {
        let ends = self.closing.values().map(|seen| seen.ends);
        (self.not_kept == 0).then(|| ends.collect())
    }

    /// The full sockets in a closing state, in no order.
    pub fn closing(&self, state: State) -> impl Iterator<Item = &Seen> {
        self.closing
            .values()
            .filter(move |seen| seen.state == state)
    }

    /// The listener that a connection with these ends came through, if it still listens.
    pub fn listener(&self, ends: Ends) -> Option<&Seen> {
        let (local, there) = (ends.local, self.listeners.get(&ends.local.port())?);
        let exact = there.iter().find(|it| it.ends.local.ip() == local.ip());
        let every = |it: &&Seen| it.ends.local.ip().is_unspecified();
        let same_family = |it: &&Seen| it.ends.local.is_ipv4() == local.is_ipv4();
        exact
            .or_else(|| there.iter().find(|it| every(it) && same_family(it)))
            .or_else(|| there.iter().find(every))
    }
}

/// Whether a socket in this state waits for one side or the other.
fn is_closing(state: State) -> bool {
    matches!(
        state,
        State::CloseWait | State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck
    )
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use crate::census::{Seen, Sysctls};
    use crate::event::{Ends, State};

    fn seen(state: State, local: &str, cookie: u64) -> Seen {
        Seen {
            state,
            ends: Ends {
                local: local.parse().unwrap(),
                peer: "192.0.2.1:80".parse().unwrap(),
            },
            cookie,
            inode: 1,
            uid: 0,
            receive_queue: 0,
            send_queue: 0,
            probes_window: false,
            minisock: None,
            cgroup: None,
            quiet: None,
        }
    }

    #[test]
    fn a_socket_that_is_told_twice_counts_once_and_as_it_was_last() {
        let mut tally = Tally::after(0);
        tally.add(
            seen(State::CloseWait, "127.0.0.1:80", 7),
            &Sysctls::default(),
        );
        tally.add(seen(State::LastAck, "127.0.0.1:80", 7), &Sysctls::default());
        assert_eq!(
            (tally.count(State::CloseWait), tally.count(State::LastAck)),
            (0, 1)
        );
        assert_eq!(tally.closing(State::CloseWait).count(), 0);
    }

    #[test]
    fn one_namespace_leaves_room_for_the_next_and_says_what_did_not_fit() {
        let add = |before: usize, count: usize| {
            let mut tally = Tally::after(before);
            for cookie in 0..count as u64 {
                let one = seen(State::CloseWait, "127.0.0.1:80", cookie);
                tally.add(one, &Sysctls::default());
            }
            tally
        };
        let (most, fewest) = (Tally::MOST_CLOSING, Tally::FEWEST_CLOSING);
        let full = add(0, most);
        assert_eq!((full.kept(), full.missing(1)), (most, None));
        let next = add(full.kept(), fewest + 1);
        assert_eq!(next.kept(), fewest);
        assert_eq!(next.count(State::CloseWait), fewest as u64 + 1);
        assert!(
            next.missing(7)
                .unwrap()
                .starts_with("1 closing sockets of network namespace 7")
        );
        assert_eq!(next.closing_ends(), None);
    }

    #[test]
    fn a_listener_of_every_address_takes_what_no_other_does() {
        let mut tally = Tally::after(0);
        tally.add(seen(State::Listen, "0.0.0.0:80", 1), &Sysctls::default());
        tally.add(seen(State::Listen, "127.0.0.1:80", 2), &Sysctls::default());
        let through = |local: &str| {
            let ends = seen(State::CloseWait, local, 3).ends;
            tally.listener(ends).map(|it| it.cookie)
        };
        assert_eq!(through("127.0.0.1:80"), Some(2));
        assert_eq!(through("192.0.2.9:80"), Some(1));
        assert_eq!(through("127.0.0.1:81"), None);
    }
}
