//! A client that takes one local port after another, and then finds none.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Until;
use crate::scenario::net::Net;
use crate::scenario::pair::{close, read_end};

/// All 200 within ten seconds, and then some tries a second.
const PAUSE: Duration = Duration::from_millis(50);
const WITHOUT_PORT: Duration = Duration::from_millis(250);
const MOST_ROUNDS: usize = 20_000;

pub(super) fn run(net: &Net, until: &Until) -> Result<()> {
    net.set("ip_local_port_range", "40000 40199")?;
    net.set("tcp_tw_reuse", "0")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 8443))?;
    let at = listener.local_addr()?;
    for _ in 0..MOST_ROUNDS {
        let pause = if request(&listener, at)? {
            PAUSE
        } else {
            WITHOUT_PORT
        };
        if !until.goes_on(pause) {
            break;
        }
    }
    Ok(())
}

/// One connection that the client closes first; false if it found no port.
fn request(listener: &TcpListener, at: SocketAddr) -> Result<bool> {
    let client = match TcpStream::connect(at) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => return Ok(false),
        other => other.context("cannot connect")?,
    };
    let (server, _) = listener.accept()?;
    close(client);
    read_end(&server)?;
    close(server);
    Ok(true)
}
