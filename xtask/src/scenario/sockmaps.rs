//! Sockets in a BPF map, as service meshes keep them: `sock_map_close` comes before `tcp_close`.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::Scenario;
use super::closes::client_first;
use super::net::Net;
use super::pair::{Pair, read, send, wait_error};
use super::raw::{disconnect, put_into_sockmap};
use super::resets::leave_unread;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("sockmap_close", "request, answer, close", sockmap_close)
        .counters(&[("EstabResets", 0), ("OutRsts", 0)])
        .unless(no_sockmap),
    Scenario::new("sockmap_unread", "close() with 5 bytes unread", unread)
        .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)])
        .unless(no_sockmap),
    Scenario::new("sockmap_disconnect", "connect(AF_UNSPEC)", disconnected)
        .counters(&[("EstabResets", 2), ("OutRsts", 1)])
        .unless(no_sockmap),
];

fn no_sockmap() -> Option<String> {
    static WHY: LazyLock<Option<String>> = LazyLock::new(|| {
        let tried = Pair::new().and_then(|pair| mapped(&pair.client));
        let error = tried.err()?;
        Some(format!("the kernel has no sockmap: {error:#}"))
    });
    WHY.clone()
}

/// Before 5.11 maps count as locked memory, of which the agents of this test have more than this
/// user's usual limit; where the limit cannot be raised, no map needs it.
fn mapped(socket: &TcpStream) -> Result<OwnedFd> {
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).ok();
    put_into_sockmap(socket).context("cannot use a sockmap")
}

fn sockmap_close(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let _ours = mapped(&pair.client)?;
    let _theirs = mapped(&pair.server)?;
    send(&pair.client, b"request")?;
    read(&pair.server, b"request")?;
    send(&pair.server, b"answer")?;
    read(&pair.client, b"answer")?;
    client_first(net, pair)
}

fn unread(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(5, 0, 0),
        pair.server_end("peer_reset"),
    ];
    let _map = mapped(&pair.client)?;
    leave_unread(&pair.server, pair.client)?;
    Ok(ends)
}

/// `sock_map_unhash`.
fn disconnected(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Nobody),
        pair.server_end("peer_reset"),
    ];
    let _map = mapped(&pair.client)?;
    disconnect(&pair.client)?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}
