//! The agent of tcp-observer, in the order in which an event flows through it.
//!
//! ```text
//! kernel hook ─bytes─▶ ring ─▶ decode ─Event─▶ track ─Closed─▶ classify ─Verdict─▶ sinks
//! └ observer-ebpf ┘    shell    └──────── pure core: no IO, no clock, no locks ───┘  shell
//! the kernel's own counters ─────────────Reading─────────────▶ audit ──Account──▶ sinks
//! ```
//!
//! The core takes the time as an argument and cannot fail; everything that reads a clock, a
//! file, a socket or the kernel is shell. One thread runs the loop in [`app`]; the web
//! endpoints and the writer of trace lines have threads of their own, so that neither a slow
//! scrape nor a slow reader of standard output ever delays the ring.

pub mod event;

pub mod track;

pub mod classify;

pub mod audit;

pub mod census;

pub mod detect;

pub mod probe;

pub mod selection;

pub mod budget;

pub mod clock;

pub mod memory;

pub mod netns;

pub mod stop;

pub mod sink;

pub mod auditor;

pub mod asks;

pub mod symbols;

pub mod surveyor;

pub mod app;

pub mod http;

pub mod settings;

pub mod cli;

pub mod commands;
