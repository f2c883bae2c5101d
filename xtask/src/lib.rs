//! Builds, tests and measures tcp-observer.

pub mod agent;
pub mod demo;
pub mod judge;
pub mod load;
pub mod scenario;
