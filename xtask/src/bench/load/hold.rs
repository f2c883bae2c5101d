//! Connections that stay open.
//!
//! Takes how many; says `held` when they are open. At a line on standard input the clients close
//! and the servers do not; then it says `closing`. At the end of the input all is closed.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use anyhow::{Context as _, Result, ensure};

use super::churn::connect;
use super::{Load, say, told};
use crate::scenario::net::Net;

const PORT: u16 = 5000;
const FIRST_CLIENT_PORT: u64 = 10_000;

/// Runs it.
pub(super) fn run(load: &Load, net: &Net) -> Result<()> {
    ensure!(load.connections <= 50_000, "too many for one address");
    // All that close wait for their peer in a minisock.
    net.set("tcp_max_tw_buckets", "100000")?;
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
    let listener = TcpListener::bind(to)?;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for number in 0..load.connections {
        let port = u16::try_from(FIRST_CLIENT_PORT + number)?;
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, 1), port);
        clients.push(connect(from, to)?);
        servers.push(listener.accept().context("cannot accept")?.0);
    }
    say("held")?;
    if told()?.is_some() {
        drop(clients);
        say("closing")?;
        told()?;
    }
    drop(servers);
    Ok(())
}
