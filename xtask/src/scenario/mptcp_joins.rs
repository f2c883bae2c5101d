//! A subflow that is to join a Multipath TCP connection, and meets a TCP that knows none.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, ensure};

use super::Scenario;
use super::link::{self, FAR, Far, no_veth};
use super::mptcp::{listener, no_mptcp, to};
use super::net::Net;
use super::pair::{close, send, wait_error, wait_unread};
use super::path_manager::{allow, announce};
use super::peer::Tap;
use super::segment::{RST, SYN};
use super::truth::End;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::new(
    "mptcp_join_in_vain",
    "a subflow meets a TCP server: MPTCP resets it, and the connection goes on",
    join_in_vain,
)
.counters(&[
    ("ActiveOpens", 2),
    ("EmbryonicRsts", 1),
    ("MPCapableSYNACKRX", 1),
])
.beside(&[super::REQUEST])
.unless(no_mptcp_or_veth)];

/// The address that the server announces, where another server listens at the same port.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 8, 8, 3);

fn no_mptcp_or_veth() -> Option<String> {
    no_mptcp().or_else(no_veth)
}

/// `subflow_finish_connect` finds no MP_JOIN in the SYN-ACK: `mptcp_subflow_reset`.
fn join_in_vain(net: &Net) -> Result<Vec<End>> {
    let far = Far::join(net)?;
    allow(1)?;
    let (server, _other, mut tap) = far.inside(|| {
        link::address(OTHER)?;
        allow(1)?;
        announce(OTHER)?;
        let server = listener(FAR)?;
        let other = TcpListener::bind((OTHER, server.local_addr()?.port()))?;
        Ok((server, other, Tap::open(OTHER.into())?))
    })?;
    let pair = to(&server)?;
    let syn = tap.next_to(OTHER.into())?;
    ensure!(syn.flags == SYN, "expected a SYN, got {syn:?}");
    let reset = tap.next_to(OTHER.into())?;
    ensure!(reset.flags & RST != 0, "expected a reset, got {reset:?}");

    let (from, joined) = (syn.from, syn.to);
    let ends = vec![
        End::client(from, joined, "reset_other").inside(net.inode),
        pair.client_end("reset_other").inside(net.inode),
        pair.server_end("peer_reset").inside(far.inode),
    ];
    // The connection goes on, until it is closed with data unread.
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}
