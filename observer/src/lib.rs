//! The agent of tcp-observer, in the order in which an event flows through it.
//!
//! ```text
//! kernel hook ─bytes─▶ ring ─▶ decode ─Event─▶ track ─Closed─▶ classify ─Verdict─▶ sinks
//! └ observer-ebpf ┘    shell    └──────── pure core: no IO, no clock, no locks ───┘  shell
//! ```

pub mod event;

pub mod track;

pub mod classify;

pub mod probe;
