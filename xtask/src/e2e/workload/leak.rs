//! Two servers that forget to close: one forgets ever more connections, one a few.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::Until;
use crate::scenario::net::Net;
use crate::scenario::pair::{close, send};
use crate::served::python;

const PAUSE: Duration = Duration::from_millis(500);
/// How many grow to be leaked.
const MOST: usize = 600;
const FEW: usize = 3;

pub(super) fn run(_: &Net, until: &Until) -> Result<()> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (growing, constant) = (at(8081), at(8082));
    let _servers = [
        python::holds_as(&until.folder.join("checkout"), growing, MOST)?,
        python::holds_as(&until.folder.join("recommender"), constant, FEW)?,
    ];
    (0..FEW).try_for_each(|_| leave(constant))?;
    for _ in 0..MOST {
        leave(growing)?;
        if !until.goes_on(PAUSE) {
            return Ok(());
        }
    }
    while until.goes_on(Duration::from_secs(1)) {}
    Ok(())
}

/// A client that asks and goes away.
fn leave(at: SocketAddr) -> Result<()> {
    let client = TcpStream::connect(at)?;
    send(&client, b"request")?;
    close(client);
    Ok(())
}
