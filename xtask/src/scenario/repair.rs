//! `TCP_REPAIR`: a connection that is thrown away without a word, and one that is put together
//! without one.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::closes::client_first;
use super::net::Net;
use super::pair::{Pair, close, linger_zero, read, send};
use super::raw::set_number;
use super::truth::{Closer, End};

/// `include/uapi/linux/tcp.h`; libc has no names for these two values.
const RECEIVE_QUEUE: i32 = 1;
const SEND_QUEUE: i32 = 2;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "repair_close",
        "close() with TCP_REPAIR on: not a word to the peer",
        repair_close,
    )
    .counters(&[("EstabResets", 2), ("OutRsts", 1), ("TCPAbortOnData", 1)]),
    Scenario::new(
        "repair_restored",
        "two sockets are made ESTABLISHED by TCP_REPAIR, and close in order",
        repair_restored,
    )
    .counters(&[("ActiveOpens", 0), ("EstabResets", 0), ("OutRsts", 0)]),
];

fn repair(socket: &TcpStream, name: i32, value: i32) -> Result<()> {
    set_number(socket, libc::IPPROTO_TCP, name, value)
        .with_context(|| format!("cannot set TCP_REPAIR's option {name} to {value}"))
}

fn repair_close(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("dropped_silently")
            .closed_here(Closer::Close),
        pair.server_end("reset_linger_zero")
            .closed_here(Closer::Close),
    ];
    repair(&pair.client, libc::TCP_REPAIR, 1)?;
    close(pair.client);
    net.wait_gone(pair.client_at, pair.server_at)?;
    // The server knows nothing of it; its reset meets nobody.
    linger_zero(&pair.server)?;
    close(pair.server);
    Ok(ends)
}

fn repair_restored(net: &Net) -> Result<Vec<End>> {
    let one = unconnected(1_000, 500_000)?;
    let other = unconnected(500_000, 1_000)?;
    let pair = Pair {
        client_at: one.local_addr()?,
        server_at: other.local_addr()?,
        client: one,
        server: other,
    };
    for (socket, to) in [
        (&pair.client, pair.server_at),
        (&pair.server, pair.client_at),
    ] {
        socket2::SockRef::from(socket).connect(&to.into())?;
    }
    for socket in [&pair.client, &pair.server] {
        repair(socket, libc::TCP_REPAIR, 0)?;
        socket.set_read_timeout(Some(super::clock::CEILING))?;
    }
    send(&pair.client, b"alive")?;
    read(&pair.server, b"alive")?;
    let mut ends = client_first(net, pair)?;
    // Each was made by a connect.
    for end in &mut ends {
        end.role = "client";
    }
    Ok(ends)
}

/// A socket in repair mode that will go on where another left off.
fn unconnected(next_to_send: i32, next_to_receive: i32) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let socket = TcpStream::from(socket);
    repair(&socket, libc::TCP_REPAIR, 1)?;
    for (queue, next) in [(SEND_QUEUE, next_to_send), (RECEIVE_QUEUE, next_to_receive)] {
        repair(&socket, libc::TCP_REPAIR_QUEUE, queue)?;
        repair(&socket, libc::TCP_QUEUE_SEQ, next)?;
    }
    Ok(socket)
}
