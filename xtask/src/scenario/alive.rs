//! Connections that live on while something that the kernel counts happens to them.
//!
//! Takes the calling thread's namespace; gives what keeps them alive. No scenario, since nothing
//! ends: the audit is held against them.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::clock::wait_for;
use super::handshakes::{answer_badly, next_with};
use super::net::{Net, State, VOID};
use super::pair::{Pair, leave, read_end};
use super::peer::{Tap, start_connect};
use super::segment::RST;

/// Longer than an agent needs to start on an emulated machine; the kernel keeps a longer wait
/// than 60 s on the full socket.
const FIN_TIMEOUT: u8 = 50;

/// A connect that goes on after a reset.
#[derive(Debug)]
pub struct Opening {
    /// Both keep it as it is.
    _kept: (TcpStream, Tap),
    local: SocketAddr,
    to: SocketAddr,
}

impl Opening {
    /// Starts to connect and has a SYN-ACK that does not fit answered with a reset.
    pub fn after_a_reset() -> Result<Self> {
        let mut tap = Tap::open(VOID.into())?;
        let to = SocketAddr::from((VOID, 7000));
        let client = start_connect(to)?;
        let local = client.local_addr()?;
        answer_badly(&mut tap)?;
        next_with(&mut tap, RST)?;
        let kept = (client, tap);
        Ok(Self {
            _kept: kept,
            local,
            to,
        })
    }

    /// Fails unless it is still opening.
    pub fn check(&self, net: &Net) -> Result<()> {
        net.wait_state(self.local, self.to, State::SynSent)
    }
}

/// A minisock in FIN_WAIT2 that waits for a FIN which never comes.
#[derive(Debug)]
pub struct Waiting {
    _server: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Waiting {
    /// Lets it take over now.
    pub fn start(net: &Net) -> Result<Self> {
        net.set("tcp_fin_timeout", &FIN_TIMEOUT.to_string())?;
        let pair = Pair::new()?;
        leave(pair.client)?;
        read_end(&pair.server)?;
        let (local, peer) = (pair.client_at, pair.server_at);
        net.wait_minisock(local, peer, State::FinWait2)?;
        let server = pair.server;
        Ok(Self {
            _server: server,
            local,
            peer,
        })
    }

    /// Waits until its time runs out, which must be ahead.
    pub fn run_out(&self, net: &Net) -> Result<()> {
        net.wait_minisock(self.local, self.peer, State::FinWait2)?;
        let ceiling = Duration::from_secs(2 * u64::from(FIN_TIMEOUT));
        wait_for("the minisock to expire", ceiling, || {
            let waits = net.holds(self.local, self.peer, State::FinWait2)?;
            Ok((!waits).then_some(()))
        })
    }
}
