//! Builds, tests and measures tcp-observer.
