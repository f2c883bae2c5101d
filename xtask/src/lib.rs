//! Builds, tests and measures tcp-observer.

pub mod scenario;
