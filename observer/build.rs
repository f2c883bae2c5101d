//! Builds the kernel probes with a toolchain that has its library source.

fn main() {}
