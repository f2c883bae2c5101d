//! Where the last survey and the last endings are found by whoever is asked for them.
//!
//! Written by the census and the event loop, read by the web. Never waits for long: a survey
//! changes hands whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::endings::History;
use crate::detect::{Buildup, CloseWait, Finding, Followed};

/// What the last census found, for the web.
#[derive(Clone, Debug)]
pub struct Survey {
    /// When it was over. Wall time may be set meanwhile; this stays as it is.
    pub at: jiff::Timestamp,
    /// How long it took, the search for holders included.
    pub took: Duration,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: usize,
    /// For how long each of them has been, the longest first.
    pub ages: Vec<Duration>,
    /// The oldest of them, at most [`Self::MOST_LISTED`], oldest first.
    pub listed: Vec<CloseWait>,
    /// Network namespaces that have minisocks, or left some out of late.
    pub with_minisocks: usize,
    /// Those with the most, the most first.
    pub time_wait: Vec<Buildup>,
    /// Destinations that clients have many local ports in use for.
    pub ports: Followed,
    /// Everything found, by id.
    pub findings: Vec<(String, Finding)>,
    /// Why it is not whole, one sentence each.
    pub missing: Vec<String>,
}

/// Where both are found.
#[derive(Debug, Default)]
pub struct Board {
    last: Mutex<Option<Arc<Survey>>>,
    /// The last endings.
    pub endings: History,
}

impl Survey {
    /// Sockets kept one by one; all are counted.
    pub const MOST_LISTED: usize = 1000;

    /// Nothing was found.
    #[cfg(test)]
    pub fn empty() -> Self {
        Self {
            at: jiff::Timestamp::UNIX_EPOCH,
            took: Duration::from_secs(1),
            close_wait: 0,
            ages: Vec::new(),
            listed: Vec::new(),
            with_minisocks: 0,
            time_wait: Vec::new(),
            ports: Followed::default(),
            findings: Vec::new(),
            missing: Vec::new(),
        }
    }
}

impl Board {
    /// The last survey, if there was one.
    pub fn last(&self) -> Option<Arc<Survey>> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a newer one there.
    pub fn pin(&self, survey: Survey) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Arc::new(survey));
    }
}
