//! The order to stop.
//!
//! Given by a signal, a timer or a closed pipe; taken by the event loop and the web endpoints.

use tokio::sync::watch;

/// The order to stop, from a signal, a timer or a closed pipe.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not given yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Gives the order.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was given.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub async fn wait(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`, so this ends only with the order.
        drop(receiver.wait_for(|stop| *stop).await);
    }
}
