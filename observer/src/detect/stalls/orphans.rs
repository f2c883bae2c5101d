//! Orphans of the host against what the kernel bears.
//!
//! Takes the kernel's own count and bound, and the orphans that the census saw one by one with
//! who closed them; gives an [`OrphanPressure`] when they are near the bound. With more than
//! `tcp_max_orphans` the kernel resets a connection as it is closed; from half of it on those
//! whose peer is silent or shuts its window, when they send again (`tcp_out_of_resources`).

use super::{Stuck, most_frequent};
use crate::census::Census;
use crate::detect::{Findings, Matter, Service};

/// Raised from so many percent of the bound on, ...
const HIGH: u64 = 50;

/// ... and over below so many.
const LOW: u64 = 40;

/// Closers and services named.
const MOST_NAMED: usize = 10;

/// How many orphans there are, and whose they were.
#[derive(Clone, Debug, PartialEq)]
pub struct OrphanPressure {
    /// As the kernel counts them.
    pub count: u64,
    /// `tcp_max_orphans`.
    pub most: u64,
    /// Those that the census saw one by one.
    pub seen: usize,
    /// Who closed most of those, as far as that was seen.
    pub closed_by: Vec<(String, u64)>,
    /// What most of those were for.
    pub services: Vec<(Service, u64)>,
}

impl OrphanPressure {
    /// `None` where the bound is not known.
    pub(super) fn new(census: &Census, waiting: &[Stuck]) -> Option<Self> {
        let orphans = census.orphans()?;
        let seen = waiting.iter().filter(|it| it.is_orphan());
        let closers = seen.clone().filter_map(|it| it.closed_by.as_ref());
        let closers = closers.map(|it| it.comm.to_string());
        Some(Self {
            count: orphans.count,
            most: orphans.most,
            seen: seen.clone().count(),
            closed_by: most_frequent(closers, MOST_NAMED),
            services: most_frequent(seen.map(|it| it.service), MOST_NAMED),
        })
    }

    pub(super) fn is_high(&self, told: &Findings) -> bool {
        let id = Matter::OrphanPressure(self.clone()).id();
        let percent = if told.is_raised(&id) { LOW } else { HIGH };
        self.count > 0 && self.count * 100 >= self.most.saturating_mul(percent)
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        "connections are closed faster than their peers let them end: find out why these do not \
         acknowledge (gone, or a window that stays shut), and let those who close so many close \
         after the peer, or with less unsent; a small tcp_orphan_retries (0 stands for 8) lets the \
         kernel give them up sooner; a higher tcp_max_orphans costs memory that cannot be swapped, some \
         64 KiB each; tcp_fin_timeout bounds only those in FIN_WAIT2"
    }
}
