//! Whether the kernel's own counters agree with what the agent said.
//!
//! Takes the counters of a scenario's namespace, what it made the kernel count beside
//! connection ends, and the agent's records; gives each difference in words.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agent::Record;
use crate::scenario::{Beside, Performed, Scenario};

/// The counters that must be equal, by their names in `/proc/net/snmp` and `/proc/net/netstat`.
pub const EQUAL: [&str; 8] = [
    "EstabResets",
    "AttemptFails",
    "TCPAbortOnData",
    "TCPAbortOnClose",
    "TCPAbortOnTimeout",
    "TCPAbortOnLinger",
    "TCPAbortOnMemory",
    "TCPTimeWaitOverflow",
];

/// Equal only where every reply with a reset is seen.
const OUT_RSTS: &str = "OutRsts";

/// What the kernel counted while a scenario ran.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// By name.
    pub counters: &'a BTreeMap<String, i64>,
    /// What belongs to no connection end.
    pub beside: &'a [Beside],
    /// Counters that this backend cannot account for here, and must not exceed.
    pub at_most: &'a [&'a str],
}

impl<'a> Books<'a> {
    /// Those of a scenario that has run.
    pub fn of(scenario: &Scenario, performed: &'a Performed, at_most: &'a [&'a str]) -> Self {
        Self {
            counters: &performed.counters,
            beside: scenario.beside,
            at_most,
        }
    }

    /// A line for each counter that the records do not add up to; empty if all do.
    pub fn differences(&self, records: &[Record]) -> Vec<String> {
        EQUAL
            .into_iter()
            .chain([OUT_RSTS])
            .filter_map(|counter| self.difference(counter, records))
            .collect()
    }

    /// Whether all that is wrong may be the machine's doing: on a slow one a segment is sent
    /// again, and may meet a connection that is over, which answers with a reset.
    pub fn is_doubtful(&self, records: &[Record]) -> bool {
        let Self {
            counters,
            beside,
            at_most: _,
        } = *self;
        let more_resets = Books {
            counters,
            beside,
            at_most: &[OUT_RSTS],
        };
        more_resets.differences(records).is_empty()
    }

    fn difference(&self, counter: &str, records: &[Record]) -> Option<String> {
        let kernel = self.counters.get(counter).copied().unwrap_or(0);
        let beside: i64 = self
            .beside
            .iter()
            .filter(|it| it.counter == counter)
            .map(|it| it.count)
            .sum();
        let pointer = format!("/counters/{counter}");
        let told: i64 = records
            .iter()
            .filter_map(|record| record.all.pointer(&pointer).and_then(Value::as_i64))
            .sum();
        let owed = kernel - beside;
        let right = told == owed || (told < owed && self.at_most.contains(&counter));
        (!right).then(|| {
            format!(
                "the kernel counted {counter} {kernel}, {beside} of it for no connection end; \
                 the records add up to {told}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(count: i64) -> Record {
        let line = json!({"netns": 7, "role": "client", "local": null, "peer": null,
            "ending": "peer_reset", "counters": {"EstabResets": count}});
        Record::parse(&line.to_string()).unwrap()
    }

    fn differences(beside: &[Beside], at_most: &[&str], told: i64) -> usize {
        let counters = BTreeMap::from([("EstabResets".to_owned(), 2)]);
        let books = Books {
            counters: &counters,
            beside,
            at_most,
        };
        books.differences(&[record(told)]).len()
    }

    #[test]
    fn what_adds_up_is_right() {
        assert_eq!(differences(&[], &[], 2), 0);
        assert_eq!(differences(&[], &[], 1), 1);
        assert_eq!(differences(&[], &[], 3), 1);
    }

    #[test]
    fn what_belongs_to_no_end_is_taken_off() {
        let beside = [Beside {
            counter: "EstabResets",
            count: 1,
            reason: "for the test",
        }];
        assert_eq!(differences(&beside, &[], 1), 0);
        assert_eq!(differences(&beside, &[], 2), 1);
    }

    #[test]
    fn a_reset_for_what_is_over_is_a_doubt_and_another_sum_is_none() {
        let doubtful = |counter: &str| {
            let counters = BTreeMap::from([(counter.to_owned(), 1)]);
            let books = Books {
                counters: &counters,
                beside: &[],
                at_most: &[],
            };
            assert_eq!(books.differences(&[record(0)]).len(), 1);
            books.is_doubtful(&[record(0)])
        };
        assert!(doubtful("OutRsts"));
        assert!(!doubtful("EstabResets"));
    }

    #[test]
    fn what_a_backend_cannot_see_may_be_missing_but_never_too_much() {
        assert_eq!(differences(&[], &["EstabResets"], 1), 0);
        assert_eq!(differences(&[], &["EstabResets"], 3), 1);
    }
}
