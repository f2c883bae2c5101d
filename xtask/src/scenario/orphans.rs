//! Closed connections whose peer falls silent.

use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{close, read_end, send};
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

const GAVE_UP: &[(&str, i64)] = &[("EstabResets", 0), ("TCPAbortOnTimeout", 1), ("OutRsts", 0)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("orphan_fin_wait1", "our FIN is never acknowledged", |net| {
        fin_wait1(net, &[])
    })
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_data",
        "neither our last data nor our FIN is ever acknowledged",
        |net| fin_wait1(net, b"12345"),
    )
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_unsent",
        "the same, and the window had no room for all of the data",
        unsent,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_user_timeout",
        "our FIN is not acknowledged within TCP_USER_TIMEOUT",
        user_timeout,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_closing",
        "both FINs cross, and ours is never acknowledged",
        closing,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_last_ack",
        "our FIN in answer to the peer's is never acknowledged",
        last_ack,
    )
    .counters(GAVE_UP),
    Scenario::new(
        "orphan_fin_wait2",
        "our FIN is acknowledged, and the peer's does not come to the full socket nor to the \
         minisock after it",
        fin_wait2,
    )
    .counters(&[("EstabResets", 0), ("TCPAbortOnTimeout", 0), ("OutRsts", 0)]),
];

fn fin_wait1(net: &Net, data: &[u8]) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_orphan")
        .closed_here(Closer::Close)
        .left(0, 0, u64::try_from(data.len())?);
    send(&client, data)?;
    close(client);
    gone(net, &peer)?;
    Ok(vec![end])
}

fn unsent(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let mut peer = Peer::new(net)?;
    peer.window = 10;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_orphan")
        .closed_here(Closer::Close)
        .left(0, 20, 10);
    send(&client, &[b'a'; 10])?;
    send(&client, &[b'b'; 20])?;
    close(client);
    gone(net, &peer)?;
    Ok(vec![end])
}

fn user_timeout(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_orphan").closed_here(Closer::Close);
    SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_millis(500)))?;
    close(client);
    gone(net, &peer)?;
    Ok(vec![end])
}

fn closing(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "2")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_orphan").closed_here(Closer::Close);
    close(client);
    peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    gone(net, &peer)?;
    Ok(vec![end])
}

fn last_ack(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "timeout_orphan").closed_here(Closer::Close);
    peer.send(FIN | ACK, b"")?;
    read_end(&server)?;
    close(server);
    gone(net, &peer)?;
    Ok(vec![end])
}

fn fin_wait2(net: &Net) -> Result<Vec<End>> {
    // A minisock waits for 60 s at most; a full socket waits for what is more than that.
    net.set("tcp_fin_timeout", "61")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_fin_wait2").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::FinWait2)?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    gone(net, &peer)?;
    Ok(vec![end])
}

fn gone(net: &Net, peer: &Peer) -> Result<()> {
    net.wait_gone(peer.real, peer.address)
}
