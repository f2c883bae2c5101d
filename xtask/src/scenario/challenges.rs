//! RSTs that are in the window but not at its edge: they are challenged, and end nothing
//! (RFC 5961).

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::close;
use super::peer::Peer;
use super::scripted::server_of;
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "wrong_reset",
        "a RST in the window but not at its edge ends nothing",
        wrong_reset,
    )
    .counters(&[("TCPChallengeACK", 1), ("EstabResets", 0), ("OutRsts", 0)]),
    Scenario::new(
        "wrong_reset_of_a_request",
        "the same before the handshake is over",
        wrong_reset_of_a_request,
    )
    .counters(&[
        ("EmbryonicRsts", 0),
        ("AttemptFails", 0),
        ("PassiveOpens", 1),
        ("OutRsts", 0),
    ])
    .unless(no_challenge_for_requests),
];

/// A kernel without it takes any RST in the window for one that fits.
fn no_challenge_for_requests() -> Option<String> {
    let name = "tcp_reqsk_send_challenge_ack";
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    (!symbols.contains(name)).then(|| format!("this kernel has no {name}"))
}

fn wrong_reset(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    peer.reset_off(5)?;
    peer.expect(ACK)?;
    peer_closes(net, &mut peer, server)
}

fn peer_closes(net: &Net, peer: &mut Peer, server: TcpStream) -> Result<Vec<End>> {
    let end = server_of(peer, "passive_close").closed_here(Closer::Close);
    peer.send(FIN | ACK, b"")?;
    peer.expect(ACK)?;
    close(server);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn wrong_reset_of_a_request(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.half_open(&listener)?;
    peer.reset_off(5)?;
    peer.expect(ACK)?;
    peer.send(ACK, b"")?;
    let (server, _) = listener.accept()?;
    net.wait_state(peer.real, peer.address, State::Established)?;
    peer_closes(net, &mut peer, server)
}
