//! More TIME_WAIT than a namespace has room for.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::Result;

use super::Until;
use crate::scenario::net::Net;
use crate::scenario::pair::{Pair, close, read_end};

const ROOM: &str = "50";
/// Far more than 50 a minute.
const PAUSE: Duration = Duration::from_millis(100);
const MOST_ROUNDS: usize = 40_000;

pub(super) fn run(net: &Net, until: &Until) -> Result<()> {
    net.set("tcp_max_tw_buckets", ROOM)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 8444))?;
    let at = listener.local_addr()?;
    for _ in 0..MOST_ROUNDS {
        let pair = Pair::through(&listener, at)?;
        close(pair.server);
        read_end(&pair.client)?;
        close(pair.client);
        if !until.goes_on(PAUSE) {
            break;
        }
    }
    Ok(())
}
