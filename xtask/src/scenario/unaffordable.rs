//! Orphans that the host cannot afford: too many of them, or too little memory for them.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use anyhow::{Result, bail};
use socket2::SockRef;

use super::Scenario;
use super::host::HostSetting;
use super::net::{Net, State};
use super::pair::{close, send};
use super::peer::Peer;
use super::scripted::{client_of, expect_reset, server_of};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};
use super::zero_window::shut;

const FOR_MEMORY: &[(&str, i64)] = &[
    ("TCPAbortOnMemory", 1),
    ("EstabResets", 0),
    ("OutRsts", 1),
    ("TCPAbortOnTimeout", 0),
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "too_many_orphans",
        "close() with no room for another orphan",
        too_many_orphans,
    )
    .counters(FOR_MEMORY)
    .host_wide(),
    Scenario::new(
        "too_many_orphans_last_ack",
        "the same after the peer's FIN, by the server",
        too_many_orphans_last_ack,
    )
    .counters(FOR_MEMORY)
    .host_wide(),
    Scenario::new(
        "out_of_memory",
        "close() with much unsent and no memory for TCP",
        out_of_memory,
    )
    .counters(FOR_MEMORY)
    .host_wide(),
    Scenario::new(
        "orphan_without_resources",
        "an orphan that sends its FIN again when there are too many",
        orphan_without_resources,
    )
    .counters(FOR_MEMORY)
    .host_wide(),
    Scenario::new(
        "probing_without_resources",
        "an orphan before a shut window that sends a probe when there are too many",
        probing_without_resources,
    )
    .counters(FOR_MEMORY)
    .host_wide(),
];

/// Below 0 even the first orphan is one too many: the kernel's count lags behind.
fn no_orphans() -> Result<HostSetting> {
    HostSetting::set("tcp_max_orphans", "-1")
}

fn too_many_orphans(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_out_of_memory")
        .closed_here(Closer::Close)
        .initiator("kernel");
    let _short = no_orphans()?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn too_many_orphans_last_ack(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "reset_out_of_memory")
        .closed_here(Closer::Close)
        .initiator("kernel");
    peer.send(FIN | ACK, b"")?;
    net.wait_state(peer.real, peer.address, State::CloseWait)?;
    let _short = no_orphans()?;
    close(server);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn out_of_memory(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = End {
        unsent: None,
        unacked: None,
        ..client_of(&peer, "reset_out_of_memory")
            .closed_here(Closer::Close)
            .initiator("kernel")
    };
    // Each CPU keeps up to a mebibyte of what sockets have to itself.
    fill(&client, 6 << 20)?;
    let _short = HostSetting::set("tcp_mem", "1 1 1")?;
    close(client);
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

/// Writes this much, though the peer acknowledges nothing.
fn fill(socket: &TcpStream, bytes: usize) -> Result<()> {
    super::raw::set_number(
        socket,
        libc::SOL_SOCKET,
        libc::SO_SNDBUFFORCE,
        i32::try_from(bytes)?,
    )?;
    SockRef::from(socket).set_nonblocking(true)?;
    let mut socket = socket;
    let (chunk, mut written) = (vec![b'x'; 1 << 16], 0);
    loop {
        match socket.write(&chunk) {
            Ok(length) => written += length,
            Err(full) if full.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    if written < bytes / 2 {
        bail!("the socket took only {written} bytes");
    }
    Ok(())
}

fn orphan_without_resources(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let client = peer.accept(net)?;
    let end = client_of(&peer, "reset_out_of_memory")
        .closed_here(Closer::Close)
        .initiator("kernel");
    close(client);
    peer.see_fin()?;
    let _short = no_orphans()?;
    expect_reset(&mut peer)?;
    Ok(vec![end])
}

fn probing_without_resources(net: &Net) -> Result<Vec<End>> {
    let (mut peer, client) = shut(net)?;
    send(&client, &[b'b'; 20])?;
    let end = client_of(&peer, "reset_out_of_memory")
        .closed_here(Closer::Close)
        .initiator("kernel")
        .left(0, 20, 0);
    close(client);
    let _short = no_orphans()?;
    expect_reset(&mut peer)?;
    Ok(vec![end])
}
