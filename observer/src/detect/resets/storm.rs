//! Reset storms: most connections of a service end with a reset, and there are many.

use std::collections::BTreeMap;

use super::{MOST_NAMED, OVER, largest};
use crate::classify::Ending;
use crate::detect::recent::reset::RESETS;
use crate::detect::{Findings, Happening, Lately, Matter, Service};

/// Raised with so many resets in the last minute ...
const MANY: u64 = 100;

/// ... if so many percent of the ends of the service are; over when half of either is not
/// reached.
const SHARE: u64 = 50;

/// What to do, by the ending of most.
const REMEDIES: [(Ending, &str); 9] = [
    (
        Ending::ResetUnreadData,
        "the application closes before it has read all that came: let it read to the end of \
             file, or answer a request only when it has read the body; else peers may lose the \
             answer",
    ),
    (
        Ending::ResetLingerZero,
        "the application sets SO_LINGER to 0 and drops what was not sent: let it close \
             normally; if that is a health check, have it closed with a FIN",
    ),
    (
        Ending::ResetDataAfterClose,
        "the application closes while its peers still send: let it shut down sending, read to \
             their FIN and then close; or let the peers close first",
    ),
    (
        Ending::ResetOutOfMemory,
        "the kernel has too many orphans or too little memory for TCP: compare \
             /proc/net/sockstat with tcp_max_orphans and tcp_mem, and see who leaves so many",
    ),
    (
        Ending::ResetDestroyed,
        "somebody destroys these connections (ss -K, or another user of SOCK_DESTROY): the \
             process named is who does it",
    ),
    (
        Ending::ConnectRefused,
        "nobody listens there, or a firewall rejects with a reset: see that the server runs, \
             and where; let clients wait longer before each retry",
    ),
    (
        Ending::PeerReset,
        "the peers abort: ask the same connections at their end; what tracks connections on \
             the way (NAT, load balancer, firewall) resets those that it has forgotten, so keep \
             idle ones alive for less than its limit",
    ),
    (
        Ending::PeerResetAfterFin,
        "this end writes to peers that have closed: let the application look for the end of \
             file before it uses an idle connection, and close it then",
    ),
    (
        Ending::PeerResetWhileClosing,
        "the peers abort while this end closes: they close with data unread, or with SO_LINGER \
             0; see whether the last that was sent to them matters",
    ),
];

/// Resets of one service, sent and received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// What the connections were for.
    pub service: Service,
    /// How many ended with a reset in the last minute.
    pub count: u64,
    /// How many ended at all.
    pub ended: u64,
    /// The endings of those that were reset, the most frequent first.
    pub endings: Vec<(Ending, u64)>,
    /// Whose they were here, as far as that was seen.
    pub by: Vec<(String, u64)>,
}

/// Resets of one service while they are counted.
#[derive(Default)]
struct Counts {
    endings: BTreeMap<Ending, u64>,
    by: BTreeMap<String, u64>,
}

pub(super) fn look(lately: &Lately, told: &Findings) -> Vec<Matter> {
    let mut services: BTreeMap<(u32, Service), Counts> = BTreeMap::new();
    for (happening, ending) in RESETS {
        for (what, count) in lately.sums(happening, OVER) {
            let Some(service) = what.service else {
                continue;
            };
            let counts = services.entry((what.netns, service)).or_default();
            *counts.endings.entry(ending).or_default() += count;
            if let Some(comm) = &what.comm {
                *counts.by.entry(comm.to_string()).or_default() += count;
            }
        }
    }
    let mut ended: BTreeMap<(u32, Option<Service>), u64> = BTreeMap::new();
    for (what, count) in lately.sums(Happening::Ended, OVER) {
        *ended.entry((what.netns, what.service)).or_default() += count;
    }
    let storm = |((netns, service), counts): (_, Counts)| {
        let count = counts.endings.values().sum();
        let ended = ended.get(&(netns, Some(service))).copied();
        let storm = Storm {
            netns,
            service,
            count,
            ended: ended.unwrap_or_default(),
            endings: largest(counts.endings, MOST_NAMED),
            by: largest(counts.by, MOST_NAMED),
        };
        let matter = Matter::ResetStorm(storm.clone());
        let part = if told.is_raised(&matter.id()) { 2 } else { 1 };
        let enough = storm.reaches(MANY / part, SHARE / part);
        enough.then_some(matter)
    };
    services.into_iter().filter_map(storm).collect()
}

impl Storm {
    /// Where there was no room to count the ends, nobody knows the share.
    fn reaches(&self, least: u64, percent: u64) -> bool {
        let known = self.ended >= self.count;
        known && self.count >= least && self.count * 100 >= self.ended * percent
    }

    /// A part of a finding's id.
    pub(in crate::detect) fn id(&self) -> String {
        self.service.id()
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        let top = self.endings.first().map(|(ending, _)| *ending);
        let mut remedies = REMEDIES.iter();
        remedies.find(|(ending, _)| Some(*ending) == top).map_or(
            "`tcp-observer trace --ending` shows each of them, with the kernel's reason and who",
            |(_, remedy)| remedy,
        )
    }
}
