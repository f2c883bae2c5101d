//! Closes that wait for the peer.

use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use socket2::SockRef;

use super::{CROWD, Stalled, listener, told};
use crate::leaked::Killed;
use crate::scenario::clock::now;
use crate::scenario::forking::{comm, spawn};
use crate::scenario::link::{FAR, Far, cut, mend};
use crate::scenario::net::{Net, State};
use crate::scenario::pair::{Pair, close, finish, read_end, send};

/// A client shuts down and waits, and so does one that its server still sends to.
pub fn half_closed(net: &Net) -> Result<Stalled> {
    let (pair, in_use) = (Pair::new()?, Pair::new()?);
    let since = now();
    for it in [&pair, &in_use] {
        finish(&it.client)?;
        read_end(&it.server)?;
        net.wait_state(it.client_at, it.server_at, State::FinWait2)?;
    }
    let since = since..now();
    let sends = in_use.server.try_clone()?;
    let sending = thread::spawn(move || {
        // It ends when the client is closed.
        while send(&sends, b"more").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    });
    let me = process::id();
    let facts = vec![
        ("/remote", json!(pair.server_at.to_string())),
        ("/local_port", Value::Null),
        ("/comm", json!(comm(&me.to_string())?)),
        ("/count", json!(1)),
        ("/oldest/at_least", json!(false)),
        ("/unread_bytes", json!(0)),
        ("/holders/0/pid", json!(me)),
        ("/holders/0/fds", json!([pair.client.as_raw_fd()])),
        ("/sockets/0/state", json!("FIN_WAIT2")),
        ("/sockets/0/local", json!(pair.client_at.to_string())),
        ("/sockets/0/closed_by/pid", json!(me)),
    ];
    let told = told("fin_wait2_stall", net.inode, facts, Some(since));
    Ok(Stalled::new(vec![told], move || {
        close(pair.server);
        read_end(&pair.client)?;
        // Data for a client that has closed resets it.
        close(in_use.client);
        drop(sending.join());
        Ok(())
    }))
}

/// Many clients do not read, and their server writes what it can and closes.
pub fn window_shut(net: &Net) -> Result<Stalled> {
    let (listener, at) = listener()?;
    let mut clients = Vec::new();
    let mut first = None;
    for _ in 0..CROWD {
        let pair = Pair::through(&listener, at)?;
        fill(&pair.server)?;
        let since = now();
        close(pair.server);
        net.wait_state(pair.server_at, pair.client_at, State::FinWait1)?;
        clients.push(pair.client);
        first.get_or_insert_with(|| since..now());
    }
    let facts = vec![
        ("/local_port", json!(at.port())),
        ("/count", json!(CROWD)),
        ("/orphans", json!(CROWD)),
        ("/window_shut", json!(CROWD)),
        ("/oldest/at_least", json!(false)),
        ("/closed_by/0/name", json!(comm("thread-self")?)),
        ("/closed_by/0/count", json!(CROWD)),
    ];
    let told = told("closing_stall", net.inode, facts, first);
    Ok(Stalled::new(vec![told], move || {
        clients.into_iter().for_each(close);
        drop(listener);
        Ok(())
    }))
}

/// Writes until the peer's window is shut and the own buffer is full.
fn fill(socket: &TcpStream) -> Result<()> {
    socket.set_nonblocking(true)?;
    SockRef::from(socket).set_send_buffer_size(1 << 16)?;
    let mut socket = socket;
    let (chunk, mut refused) = (vec![b'x'; 1 << 16], 0);
    while refused < 5 {
        match socket.write(&chunk) {
            Ok(_) => refused = 0,
            Err(full) if full.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The cable to many clients is cut; half of them have closed, and the others are being sent to.
pub fn cable_cut(net: &Net) -> Result<Stalled> {
    const BYTES: usize = 1000;
    let far = Far::join(net)?;
    // What holds only a thread is not found.
    let resident = far.inside(|| Ok(Killed(spawn(Command::new("sleep").arg("600"))?)))?;
    let listener = far.inside(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let at = listener.local_addr()?;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for index in 0..CROWD {
        let pair = Pair::through(&listener, at)?;
        if index % 2 == 0 {
            close(pair.client);
            read_end(&pair.server)?;
        } else {
            clients.push(pair.client);
        }
        servers.push(pair.server);
    }
    cut()?;
    let mut first = None;
    for (index, server) in servers.into_iter().enumerate() {
        let since = now();
        if index % 2 == 1 {
            send(&server, &[b'x'; BYTES])?;
        }
        close(server);
        first.get_or_insert_with(|| since..now());
    }
    let facts = vec![
        ("/local_port", json!(at.port())),
        ("/count", json!(CROWD)),
        ("/orphans", json!(CROWD)),
        ("/window_shut", json!(0)),
        ("/unacked_bytes", json!(CROWD / 2 * BYTES)),
        ("/oldest/at_least", json!(false)),
        ("/closed_by/0/name", json!(comm("thread-self")?)),
        ("/closed_by/0/count", json!(CROWD)),
        ("/peers/0/name", json!("10.8.8.1")),
        ("/peers/0/count", json!(CROWD)),
    ];
    let told = told("closing_stall", far.inode, facts, first);
    Ok(Stalled::new(vec![told], move || {
        mend()?;
        clients.into_iter().for_each(close);
        drop((listener, resident));
        Ok(())
    }))
}
