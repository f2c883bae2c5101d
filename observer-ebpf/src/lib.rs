//! The contract between the kernel probes and the agent.
//!
//! Takes nothing and does nothing: it declares the bytes that travel through the ring
//! buffer ([`wire`]), the globals that the agent sets before it loads the probes
//! ([`wire::settings`]), and a table of everything that the compiled object contains
//! ([`wire::manifest`]). Both sides compile this one text, so they cannot disagree.
#![no_std]
#![forbid(unsafe_code)]

pub mod wire;
