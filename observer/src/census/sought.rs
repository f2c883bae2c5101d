//! Open connections that somebody believes in, until the kernel shows them. Pure.

use std::collections::HashSet;

use crate::event::Ends;

/// Those that no census has shown yet.
#[derive(Debug, Default)]
pub struct Sought(HashSet<(u32, Ends)>);

impl Sought {
    /// Each by the inode number of its network namespace and its ends.
    pub fn new(connections: impl IntoIterator<Item = (u32, Ends)>) -> Self {
        Self(connections.into_iter().collect())
    }

    /// The kernel has this one.
    pub fn found(&mut self, netns: u32, ends: Ends) {
        self.0.remove(&(netns, ends));
    }

    /// Whether the kernel did not show it.
    pub fn is_left(&self, netns: u32, ends: Ends) -> bool {
        self.0.contains(&(netns, ends))
    }
}
