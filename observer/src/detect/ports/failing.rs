//! Connects that fail for want of a port, though the census does not show why.
//!
//! The ports were taken for a moment between two censuses, or other sockets are bound to them:
//! connect() does not take a port that bind() gave to another socket (`__inet_hash_connect`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Headroom;
use crate::census::{Destination, Looked, Ports};

/// For each service that connects fail for and that is not among the `short` ones, the
/// destination with the fewest ports left; one without a source if the census found no connection.
pub(super) fn without_reason(
    netns: u32,
    looked: &Looked,
    services: impl Iterator<Item = SocketAddr>,
    short: &[Headroom],
    mut enough: Vec<Headroom>,
) -> Vec<Headroom> {
    enough.sort_by_key(|it| (it.left(), it.destination));
    let is_told = |peer: &SocketAddr| {
        let mut told = short.iter().filter(|it| it.netns == netns);
        told.any(|it| it.destination.peer == *peer)
    };
    let headroom = |peer: SocketAddr| {
        let mut there = enough.iter();
        let fewest = there.find(|it| it.destination.peer == peer).cloned();
        let without_source = || {
            let source = match peer {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let destination = Destination { source, peer };
            Headroom::new(netns, destination, Ports::default(), looked)
        };
        fewest.unwrap_or_else(without_source)
    };
    services
        .filter(|peer| !is_told(peer))
        .map(headroom)
        .collect()
}
