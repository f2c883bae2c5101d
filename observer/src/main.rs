//! tcp-observer: says how every TCP connection of this host ended.

fn main() {}
