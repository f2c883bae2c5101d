//! Reads every namespace again and again.
//!
//! Takes namespaces; gives [`Look`]s, from a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::{MOST, Namespace};
use crate::audit::Reading;
use crate::clock::Clock;

/// What one look at a namespace brought: its index, and the reading or what went wrong.
pub type Look = (usize, Result<Reading, String>);

/// A thread that reads every namespace once at the start and then at every interval. It ends
/// when this is dropped.
#[derive(Debug)]
pub struct Reader {
    looks: Receiver<Look>,
    _alive: Sender<()>,
}

impl Reader {
    /// Starts the thread.
    pub fn start(
        namespaces: Vec<Namespace>,
        interval: Duration,
        clock: Arc<Clock>,
    ) -> io::Result<Self> {
        let (send, looks) = mpsc::sync_channel(MOST + 1);
        let (alive, ended) = mpsc::channel::<()>();
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                let mut due = clock.now();
                loop {
                    for (index, namespace) in namespaces.iter().enumerate() {
                        let look = namespace.read(&clock).map_err(|error| error.to_string());
                        if send.send((index, look)).is_err() {
                            return;
                        }
                    }
                    // After a long stop the next reading comes after a whole interval.
                    due = due.after(interval).max(clock.now());
                    let wait = due.since(clock.now());
                    if ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self {
            looks,
            _alive: alive,
        })
    }

    /// The next look that was taken, if there is one by now.
    pub fn next(&self) -> Option<Look> {
        self.looks.try_recv().ok()
    }
}
