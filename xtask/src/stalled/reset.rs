//! Resets that an agent must tell of.

use std::net::{Shutdown, TcpStream};

use anyhow::Result;
use serde_json::json;

use super::{Stalled, listener, told};
use crate::scenario::forking::comm;
use crate::scenario::net::{Net, State};
use crate::scenario::pair::{Pair, close, deafen, hear, linger_zero, read_end, send, wait_error};

/// A server closes, and its clients send before they know.
pub fn race(net: &Net) -> Result<Stalled> {
    const TIMES: usize = 4;
    let (listener, at) = listener()?;
    for _ in 0..TIMES {
        let pair = Pair::through(&listener, at)?;
        // The FIN is still on its way.
        deafen(&pair.client)?;
        close(pair.server);
        net.wait_state(pair.server_at, pair.client_at, State::FinWait1)?;
        send(&pair.client, b"GET / HTTP/1.1\r\n\r\n")?;
        net.wait_gone(pair.server_at, pair.client_at)?;
        hear(&pair.client)?;
        wait_error(&pair.client, libc::ECONNRESET)?;
    }
    let facts = vec![
        ("/local_port", json!(at.port())),
        ("/count", json!(TIMES)),
        ("/closed_by/0/name", json!(comm("thread-self")?)),
        ("/closed_by/0/count", json!(TIMES)),
    ];
    let told = told("keepalive_race", net.inode, facts, None);
    Ok(Stalled::new(vec![told], move || {
        drop(listener);
        Ok(())
    }))
}

/// A server resets most of its connections; each of its clients sees a storm too.
pub fn storm(net: &Net) -> Result<Stalled> {
    const RESET: usize = 120;
    const ENDED: usize = 150;
    let (listener, at) = listener()?;
    for index in 0..ENDED {
        let pair = Pair::through(&listener, at)?;
        if index < RESET {
            linger_zero(&pair.server)?;
            close(pair.server);
            wait_error(&pair.client, libc::ECONNRESET)?;
        } else {
            pair.client.shutdown(Shutdown::Write)?;
            read_end(&pair.server)?;
            close(pair.server);
        }
        close(pair.client);
    }
    let storm = |ending: &str| {
        vec![
            ("/count", json!(RESET)),
            ("/ended", json!(ENDED)),
            ("/endings/0/name", json!(ending)),
            ("/endings/0/count", json!(RESET)),
        ]
    };
    let mut served = storm("reset_linger_zero");
    served.extend([
        ("/local_port", json!(at.port())),
        ("/by/0/name", json!(comm("thread-self")?)),
    ]);
    let mut asked = storm("peer_reset");
    asked.push(("/remote", json!(at.to_string())));
    let told = [served, asked].map(|facts| told("reset_storm", net.inode, facts, None));
    Ok(Stalled::new(told.into(), move || {
        drop(listener);
        Ok(())
    }))
}

/// A listener closes, and nobody has accepted its connections.
pub fn listener_closed(net: &Net) -> Result<Stalled> {
    const WAITING: usize = 7;
    let (listener, at) = listener()?;
    let clients = (0..WAITING).map(|_| Ok(TcpStream::connect(at)?));
    let clients = clients.collect::<Result<Vec<_>>>()?;
    for client in &clients {
        net.wait_state(at, client.local_addr()?, State::Established)?;
    }
    close(listener);
    for client in &clients {
        wait_error(client, libc::ECONNRESET)?;
    }
    let facts = vec![
        ("/local_port", json!(at.port())),
        ("/comm", json!(comm("thread-self")?)),
        ("/count", json!(WAITING)),
    ];
    let told = told("listener_closed", net.inode, facts, None);
    Ok(Stalled::new(vec![told], || Ok(())))
}
