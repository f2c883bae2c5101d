//! Builds, tests and measures tcp-observer.

pub mod agent;
pub mod audited;
pub mod bench;
mod crowd;
pub mod demo;
pub mod e2e;
mod figures;
pub mod judge;
pub mod leaked;
pub mod load;
pub mod scenario;
pub mod served;
pub mod stalled;
pub mod watching;
