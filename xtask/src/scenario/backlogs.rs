//! What arrives while close() holds the socket waits in its backlog, and the closer itself
//! deals with it.
//!
//! Over loopback the peer answers the FIN before the call that sent it returns. A timer of
//! the kernel can come first, so each round asks the kernel's counters which way it went, and
//! the rounds go on until the way that is wanted was taken.

use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::net::{Net, State};
use super::pair::{Pair, close, read, read_end, send};
use super::raw::set_number;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "data_in_backlog",
        "data arrives while close() holds the socket",
        data_in_backlog,
    ),
    Scenario::new(
        "reset_in_backlog",
        "a RST arrives while close() holds the socket",
        reset_in_backlog,
    ),
];

const MOST_ROUNDS: usize = 30;

/// One connection; whether it went the way that is wanted.
type Round = (bool, [End; 2]);

fn data_in_backlog(net: &Net) -> Result<Vec<End>> {
    rounds(net, data_round)
}

fn reset_in_backlog(net: &Net) -> Result<Vec<End>> {
    rounds(net, reset_round)
}

fn rounds(net: &Net, round: fn(&Net) -> Result<Round>) -> Result<Vec<End>> {
    let mut ends = Vec::new();
    for _round in 0..MOST_ROUNDS {
        let (wanted, more) = round(net)?;
        ends.extend(more);
        if wanted {
            return Ok(ends);
        }
    }
    bail!("in {MOST_ROUNDS} rounds a timer always came first")
}

/// The second byte of the peer waits (Nagle) until the first is acknowledged, and the FIN is
/// what acknowledges it.
fn data_round(net: &Net) -> Result<Round> {
    let pair = Pair::new()?;
    let (client_at, server_at) = (pair.client_at, pair.server_at);
    let before = count(net, "TCPAbortOnData")?;
    set_number(&pair.client, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 0)?;
    send(&pair.server, b"a")?;
    read(&pair.client, b"a")?;
    send(&pair.server, b"b")?;
    close(pair.client);
    wait_failed(&pair.server)?;
    net.wait_gone(client_at, server_at)?;
    let wanted = count(net, "TCPAbortOnData")? > before;
    let (client, server, unread) = if wanted {
        ("reset_data_after_close", "peer_reset_after_fin", 0)
    } else {
        ("reset_unread_data", "peer_reset", 1)
    };
    let client = End::client(client_at, server_at, client)
        .closed_here(Closer::Close)
        .left(unread, 0, 0);
    let server = End {
        unacked: wanted.then_some(1),
        ..End::server(server_at, client_at, server).half_closed(None)
    };
    Ok((wanted, [client.attributes(&[]), server.attributes(&[])]))
}

/// The data that close() sends meets a minisock, which answers with a RST.
fn reset_round(net: &Net) -> Result<Round> {
    let pair = Pair::new()?;
    let (client_at, server_at) = (pair.client_at, pair.server_at);
    close(pair.server);
    net.wait_minisock(server_at, client_at, State::FinWait2)?;
    read_end(&pair.client)?;
    let before = count(net, "EstabResets")?;
    set_number(&pair.client, libc::IPPROTO_TCP, libc::TCP_CORK, 1)?;
    send(&pair.client, b"12345")?;
    close(pair.client);
    net.wait_gone(client_at, server_at)?;
    net.wait_gone(server_at, client_at)?;
    // In CLOSE_WAIT the kernel counts it, in LAST_ACK it does not.
    let wanted = count(net, "EstabResets")? == before;
    let client = if wanted {
        End::client(client_at, server_at, "peer_reset_while_closing").closed_here(Closer::Close)
    } else {
        End::client(client_at, server_at, "peer_reset_after_fin")
    };
    let client = client
        .initiator("peer")
        .half_closed(Some(true))
        .left(0, 0, 5);
    let server = End::server(server_at, client_at, "reset_data_after_close")
        .closed_here(Closer::Close)
        .attributes(&["minisock"]);
    Ok((wanted, [client.attributes(&[]), server]))
}

fn count(net: &Net, name: &str) -> Result<i64> {
    let counters = net.counters()?;
    counters
        .get(name)
        .copied()
        .with_context(|| format!("the kernel has no counter {name}"))
}

fn wait_failed(socket: &TcpStream) -> Result<()> {
    wait_for("a socket error", CEILING, || Ok(socket.take_error()?)).map(drop)
}
