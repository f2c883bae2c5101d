//! What the probes could send instead, for `cargo xtask bench shapes`: a whole record for each
//! step of a connection, a whole one and then small ones, or one for all steps at its end.
//!
//! Takes the state changes and the ends of sockets; gives records through the way out that the
//! probes have, filled by the reads that they have. The agent never loads it, and nothing here
//! means anything to it: who reads counts.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        clippy::inline_always,
        reason = "the verifier follows a kernel pointer only within one function"
    ),
    expect(
        clippy::needless_pass_by_value,
        reason = "the entry points' macros hand the context over by value"
    ),
    expect(
        clippy::cast_possible_truncation,
        reason = "arguments come in registers of 64 bits, whatever their type"
    )
)]

#[cfg(target_arch = "bpf")]
#[path = "../probes/fill.rs"]
#[expect(dead_code, reason = "the probes have more hooks")]
mod fill;
#[cfg(target_arch = "bpf")]
#[path = "../probes/kernel.rs"]
#[expect(dead_code, reason = "the probes have more hooks")]
mod kernel;
#[cfg(target_arch = "bpf")]
#[path = "../probes/ring.rs"]
mod ring;

#[cfg(target_arch = "bpf")]
mod change;
#[cfg(target_arch = "bpf")]
mod fat;
#[cfg(target_arch = "bpf")]
mod thin;
#[cfg(target_arch = "bpf")]
mod trail;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {}
