//! Connections that stay open.
//!
//! Takes how many, and whether each client sends its FIN at once, which its server never answers
//! with one; says `held` when they are there. At the end of the input all is closed.

use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener};

use anyhow::{Context as _, Result, ensure};

use super::churn::connect;
use super::{Load, say, told};

const PORT: u16 = 5000;
const FIRST_CLIENT_PORT: u64 = 10_000;

/// Runs it.
pub(super) fn run(load: &Load) -> Result<()> {
    ensure!(load.connections <= 50_000, "too many for one address");
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
    let listener = TcpListener::bind(to)?;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for number in 0..load.connections {
        let port = u16::try_from(FIRST_CLIENT_PORT + number)?;
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, 1), port);
        let client = connect(from, to)?;
        servers.push(listener.accept().context("cannot accept")?.0);
        if load.half_closed {
            client.shutdown(Shutdown::Write)?;
        }
        clients.push(client);
    }
    say("held")?;
    told()?;
    Ok(())
}
