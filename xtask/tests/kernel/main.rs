//! Kernel tests.

fn main() {}
