//! Two real sockets, connected over loopback.
//!
//! Takes an address; gives both ends and what they are called. Never leaves a listener open.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use socket2::{SockFilter, SockRef};

use super::clock::{CEILING, wait_for};
pub use super::forking::close;
use super::net::State;
use super::raw::state;
use super::truth::{End, canonical};

/// A connection between two sockets of this thread.
#[derive(Debug)]
pub struct Pair {
    /// The end that connected.
    pub client: TcpStream,
    /// The end that accepted.
    pub server: TcpStream,
    /// The client's address.
    pub client_at: SocketAddr,
    /// The server's address.
    pub server_at: SocketAddr,
}

impl Pair {
    /// Connects over 127.0.0.1.
    pub fn new() -> Result<Self> {
        Self::over(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
    }

    /// Listens on one address and connects to another.
    pub fn over(listen: IpAddr, connect: IpAddr) -> Result<Self> {
        let listener =
            TcpListener::bind((listen, 0)).with_context(|| format!("cannot listen on {listen}"))?;
        Self::through(
            &listener,
            SocketAddr::new(connect, listener.local_addr()?.port()),
        )
    }

    /// Connects to a listener that is already there.
    pub fn through(listener: &TcpListener, to: SocketAddr) -> Result<Self> {
        let client = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
        SockRef::from(listener).set_read_timeout(Some(CEILING))?;
        let (server, _) = listener.accept()?;
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(CEILING))?;
            socket.set_write_timeout(Some(CEILING))?;
        }
        let client_at = canonical(client.local_addr()?);
        let server_at = canonical(server.local_addr()?);
        Ok(Self {
            client,
            server,
            client_at,
            server_at,
        })
    }

    /// The truth about the client's end.
    pub fn client_end(&self, ending: &'static str) -> End {
        End::client(self.client_at, self.server_at, ending)
    }

    /// The truth about the server's end.
    pub fn server_end(&self, ending: &'static str) -> End {
        End::server(self.server_at, self.client_at, ending)
    }
}

/// Sends all of `data`.
pub fn send(socket: &TcpStream, data: &[u8]) -> Result<()> {
    let mut socket = socket;
    socket.write_all(data).context("cannot send")
}

/// Reads exactly this data.
pub fn read(socket: &TcpStream, data: &[u8]) -> Result<()> {
    let mut got = vec![0; data.len()];
    let mut socket = socket;
    socket.read_exact(&mut got).context("cannot read")?;
    if got != data {
        bail!("read other data than was sent");
    }
    Ok(())
}

/// Reads the end of the stream.
pub fn read_end(socket: &TcpStream) -> Result<()> {
    let mut socket = socket;
    match socket.read(&mut [0]).context("cannot read the end")? {
        0 => Ok(()),
        _ => bail!("expected the end of the stream, got data"),
    }
}

/// Waits until `length` bytes can be read, and leaves them unread.
pub fn wait_unread(socket: &TcpStream, length: usize) -> Result<()> {
    let mut buffer = vec![0; length];
    wait_for("unread data", CEILING, || {
        let unread = socket.peek(&mut buffer).context("cannot peek")?;
        Ok((unread == length).then_some(()))
    })
}

/// Waits until the socket has failed with this errno.
pub fn wait_error(socket: &TcpStream, errno: i32) -> Result<()> {
    let error = wait_for("a socket error", CEILING, || Ok(socket.take_error()?))?;
    if error.raw_os_error() == Some(errno) {
        return Ok(());
    }
    // What the socket says instead: ETIMEDOUT counts as any step that took too long.
    Err(error).with_context(|| format!("expected errno {errno}"))
}

/// `close()` sends a reset.
pub fn linger_zero(socket: &TcpStream) -> Result<()> {
    Ok(SockRef::from(socket).set_linger(Some(Duration::ZERO))?)
}

/// `shutdown()` of the send side.
pub fn finish(socket: &TcpStream) -> Result<()> {
    Ok(socket.shutdown(Shutdown::Write)?)
}

/// Closes once the peer has acknowledged the FIN. What is closed while that acknowledgement waits
/// for it stays a full socket in FIN_WAIT2, which resets the peer when `tcp_fin_timeout` is over
/// (`tcp_rcv_state_process`, `tcp_keepalive_timer`): that peer's CLOSE_WAIT ends then.
pub fn leave(socket: TcpStream) -> Result<()> {
    finish(&socket)?;
    wait_for("FIN_WAIT2", CEILING, || {
        Ok((state(&socket)? == State::FinWait2 as u8).then_some(()))
    })?;
    close(socket);
    Ok(())
}

/// Closes, and lets the peer hear only of the FIN that is sent again: its acknowledgement never
/// waits for the closing socket, so that a minisock takes over for certain (see [`leave`]).
pub fn close_unheard(socket: TcpStream, peer: &TcpStream) -> Result<()> {
    deafen(peer)?;
    close(socket);
    hear(peer)
}

/// Every segment for this socket is lost from here on.
pub fn deafen(socket: impl AsFd) -> Result<()> {
    let return_zero_bytes = SockFilter::new(0x06, 0, 0, 0);
    Ok(SockRef::from(&socket).attach_filter(&[return_zero_bytes])?)
}

/// It hears again.
pub fn hear(socket: &TcpStream) -> Result<()> {
    Ok(SockRef::from(socket).detach_filter()?)
}
