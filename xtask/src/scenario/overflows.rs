//! TIME_WAIT, or a wait for the peer's FIN, for which there is no room.

use std::net::{SocketAddr, TcpStream};

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read_end, send, wait_error};
use super::peer::Peer;
use super::scripted::client_of;
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "overflow_three_segments",
        "no room for TIME_WAIT when the peer's FIN acknowledges ours",
        three_segments,
    )
    .counters(OVERFLOW),
    Scenario::new(
        "overflow_simultaneous",
        "no room for TIME_WAIT when the FINs cross",
        simultaneous,
    )
    .counters(OVERFLOW),
    Scenario::new(
        "overflow_full_fin_wait2",
        "no room for TIME_WAIT when the peer's FIN comes for a held socket",
        held,
    )
    .counters(OVERFLOW),
    Scenario::new(
        "overflow_fin_wait2",
        "no room to wait for the peer's FIN, which meets nobody",
        fin_meets_nobody,
    )
    .counters(OVERFLOW_AND_RESET)
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "overflow_fin_wait2_data",
        "no room to wait for the peer's FIN; its data meets nobody",
        data_meets_nobody,
    )
    .counters(OVERFLOW_AND_RESET)
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "overflow_after_one",
        "room for one TIME_WAIT, and two connections",
        after_one,
    )
    .counters(&[("TCPTimeWaitOverflow", 1), ("OutRsts", 0)]),
];

const OVERFLOW: &[(&str, i64)] = &[
    ("TCPTimeWaitOverflow", 1),
    ("EstabResets", 0),
    ("OutRsts", 0),
];
const OVERFLOW_AND_RESET: &[(&str, i64)] = &[("TCPTimeWaitOverflow", 1), ("OutRsts", 1)];

fn three_segments(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_max_tw_buckets", "0")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = no_room(closed(client_of(&peer, "active_close")));
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn simultaneous(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_max_tw_buckets", "0")?;
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = no_room(closed(client_of(&peer, "simultaneous_close")));
    close(client);
    let fin = peer.see_fin()?;
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::Closing)?;
    peer.take(&fin);
    peer.send(ACK, b"")?;
    net.wait_gone(peer.real, peer.address)?;
    Ok(vec![end])
}

fn held(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_max_tw_buckets", "0")?;
    let pair = Pair::new()?;
    let ends = vec![
        no_room(
            pair.client_end("active_close")
                .closed_here(Closer::Shutdown),
        )
        .half_closed(Some(true)),
        closed(pair.server_end("passive_close")),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    close(pair.server);
    read_end(&pair.client)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    close(pair.client);
    Ok(ends)
}

fn fin_meets_nobody(net: &Net) -> Result<Vec<End>> {
    let (pair_ends, server, client_end) = forgotten(net)?;
    let (client_at, server_at) = pair_ends;
    let end = closed(End::server(
        server_at,
        client_at,
        "peer_reset_while_closing",
    ))
    .initiator("peer");
    close(server);
    net.wait_gone(server_at, client_at)?;
    Ok(vec![client_end, end])
}

fn data_meets_nobody(net: &Net) -> Result<Vec<End>> {
    let (pair_ends, server, client_end) = forgotten(net)?;
    let end = End::server(pair_ends.1, pair_ends.0, "peer_reset_after_fin")
        .half_closed(None)
        .left(0, 0, 5)
        .attributes(&[]);
    send(&server, b"12345")?;
    wait_error(&server, libc::EPIPE)?;
    Ok(vec![client_end, end])
}

type Forgotten = ((SocketAddr, SocketAddr), TcpStream, End);

/// A client closes, its FIN is acknowledged, and the kernel forgets it.
fn forgotten(net: &Net) -> Result<Forgotten> {
    net.set("tcp_max_tw_buckets", "0")?;
    let pair = Pair::new()?;
    let end = no_room(closed(pair.client_end("active_close")));
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(((pair.client_at, pair.server_at), pair.server, end))
}

fn after_one(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_max_tw_buckets", "1")?;
    let mut ends = Vec::new();
    for nth in 0..2 {
        let pair = Pair::new()?;
        let client = closed(pair.client_end("passive_close"));
        let server = closed(pair.server_end("active_close"));
        // The peer's FIN comes while the socket is held: one minisock is wanted, not two.
        finish(&pair.server)?;
        net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
        close(pair.client);
        read_end(&pair.server)?;
        net.wait_gone(pair.client_at, pair.server_at)?;
        let server = End {
            closer: Closer::Shutdown,
            ..server.half_closed(Some(true))
        };
        ends.push(client);
        ends.push(if nth == 0 { server } else { no_room(server) });
    }
    Ok(ends)
}

fn no_room(end: End) -> End {
    End {
        time_wait: "none",
        ..end.attributes(&["time_wait_overflow"])
    }
}

fn closed(end: End) -> End {
    end.closed_here(Closer::Close).attributes(&[])
}
