//! The kernel probes of tcp-observer.
//!
//! Takes what the kernel passes to its hooks; gives the records of [`observer_ebpf::wire`]
//! through one ring buffer. Never decides what a connection's end means.
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
mod probes;

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
