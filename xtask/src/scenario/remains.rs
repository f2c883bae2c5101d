//! An administrator destroys what no process holds: an orphan, a minisock, a request. What an
//! older kernel refuses ends in its own way.

use std::io::ErrorKind;
use std::net::TcpListener;

use anyhow::{Result, bail, ensure};

use super::closes::client_first;
use super::destroys::{cannot_destroy, errno};
use super::net::{Net, State};
use super::pair::{Pair, close, linger_zero, read_end};
use super::peer::Peer;
use super::scripted::{client_of, expect_reset};
use super::segment::{ACK, FIN};
use super::sock_diag::destroy;
use super::truth::{Closer, End};
use super::{Beside, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "destroyed_orphan",
        "an orphan in FIN_WAIT1, which older kernels let live",
        destroyed_orphan,
    )
    .counters(&[("EstabResets", 0)])
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_minisock",
        "a FIN_WAIT2 minisock, which older kernels let live",
        destroyed_minisock,
    )
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_time_wait",
        "a TIME_WAIT minisock: the connection was over",
        destroyed_time_wait,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0)])
    .unless(cannot_destroy),
    Scenario::new(
        "destroyed_request",
        "a request, which is no connection yet",
        destroyed_request,
    )
    .counters(&[("PassiveOpens", 0), ("AttemptFails", 0)])
    .beside(&[Beside {
        counter: "OutRsts",
        count: 1,
        reason: "an ACK for a request that is gone",
    }])
    .unless(cannot_destroy),
];

fn destroyed_orphan(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let (local, far) = (peer.real, peer.address);
    let end = |ending| client_of(&peer, ending).closed_here(Closer::Close);
    let (refused, done) = (end("active_close"), end("reset_destroyed"));
    close(client);
    let fin = peer.see_fin()?;
    destroy(local, far)?;
    if net.connections()? == 0 {
        expect_reset(&mut peer)?;
        return Ok(vec![done]);
    }
    peer.take(&fin);
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(local, far, State::TimeWait)?;
    Ok(vec![refused])
}

fn destroyed_minisock(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let client_end = |ending| pair.client_end(ending).closed_here(Closer::Close);
    let (refused, done) = (client_end("active_close"), client_end("reset_destroyed"));
    let server_end = |ending| pair.server_end(ending).closed_here(Closer::Close);
    let (orderly, alone) = (
        server_end("passive_close"),
        server_end("reset_linger_zero")
            .initiator("peer")
            .half_closed(None),
    );
    close(pair.client);
    read_end(&pair.server)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    let gone = destroyed_or_refused(destroy(pair.client_at, pair.server_at))?;
    if gone {
        net.wait_gone(pair.client_at, pair.server_at)?;
        // Without a word to the server, whose FIN would meet nobody.
        linger_zero(&pair.server)?;
        close(pair.server);
        return Ok(vec![done, alone]);
    }
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    Ok(vec![refused, orderly])
}

fn destroyed_time_wait(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let (client_at, server_at) = (pair.client_at, pair.server_at);
    let ends = client_first(net, pair)?;
    if destroyed_or_refused(destroy(client_at, server_at))? {
        net.wait_gone(client_at, server_at)?;
    }
    Ok(ends)
}

fn destroyed_request(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let listener = TcpListener::bind((net.loopback(), 0))?;
    peer.half_open(&listener)?;
    destroy(peer.real, peer.address)?;
    peer.send(ACK, b"")?;
    expect_reset(&mut peer)?;
    listener.set_nonblocking(true)?;
    match listener.accept() {
        Err(nobody) if nobody.kind() == ErrorKind::WouldBlock => {}
        other => bail!("expected nobody to accept, got {other:?}"),
    }
    ensure!(
        listener.take_error()?.is_none(),
        "the listener has an error"
    );
    Ok(Vec::new())
}

/// Whether the kernel did it: before 6.1 it refuses minisocks.
fn destroyed_or_refused(answer: Result<()>) -> Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if errno(&error) == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}
