//! The ways in which a connection between two local sockets ends here, and the truth of each.
//!
//! None waits for a timer. Where the next step needs the one before, it waits for what the
//! kernel shows of it. The acting end is the client or the server, whichever was drawn.

use std::io::{ErrorKind, Read as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use crate::scenario::pair::{close, finish, linger_zero, read, read_end, send};
use crate::scenario::raw;

/// One way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What is done.
    pub(super) name: &'static str,
    /// How the acting end ends.
    pub(super) actor: &'static str,
    /// How the other end ends.
    pub(super) other: &'static str,
    /// Does it, with the acting end first.
    pub(super) end: fn(TcpStream, TcpStream) -> Result<()>,
}

pub(super) const KINDS: [Kind; 12] = [
    kind("close", "active_close", "passive_close", close_first),
    kind("data, close", "active_close", "passive_close", data_first),
    kind("half close", "active_close", "passive_close", half_close),
    kind("shutdown(RDWR)", "active_close", "passive_close", shut_both),
    kind(
        "shutdown(WR) twice",
        "active_close",
        "passive_close",
        shut_twice,
    ),
    kind("unread data", "reset_unread_data", "peer_reset", unread),
    kind(
        "unread data after FIN",
        "reset_unread_data",
        "peer_reset_while_closing",
        unread_after_fin,
    ),
    kind("linger zero", "reset_linger_zero", "peer_reset", linger),
    kind(
        "linger zero after FIN",
        "reset_linger_zero",
        "peer_reset_while_closing",
        linger_after_fin,
    ),
    kind(
        "data after close",
        "reset_data_after_close",
        "peer_reset_after_fin",
        data_after_close,
    ),
    kind(
        "data after shutdown(RDWR)",
        "reset_data_after_close",
        "peer_reset_after_fin",
        data_after_shutdown,
    ),
    kind("AF_UNSPEC", "reset_disconnect", "peer_reset", disconnect),
];

const fn kind(
    name: &'static str,
    actor: &'static str,
    other: &'static str,
    end: fn(TcpStream, TcpStream) -> Result<()>,
) -> Kind {
    Kind {
        name,
        actor,
        other,
        end,
    }
}

fn close_first(actor: TcpStream, other: TcpStream) -> Result<()> {
    close(actor);
    read_end(&other)?;
    close(other);
    Ok(())
}

fn data_first(actor: TcpStream, other: TcpStream) -> Result<()> {
    send(&actor, b"request")?;
    read(&other, b"request")?;
    send(&other, b"answer")?;
    read(&actor, b"answer")?;
    close_first(actor, other)
}

fn half_close(actor: TcpStream, other: TcpStream) -> Result<()> {
    finish(&actor)?;
    read_end(&other)?;
    send(&other, b"late answer")?;
    read(&actor, b"late answer")?;
    close(other);
    read_end(&actor)?;
    close(actor);
    Ok(())
}

fn shut_both(actor: TcpStream, other: TcpStream) -> Result<()> {
    actor.shutdown(Shutdown::Both)?;
    read_end(&other)?;
    close(other);
    close(actor);
    Ok(())
}

fn shut_twice(actor: TcpStream, other: TcpStream) -> Result<()> {
    finish(&actor)?;
    read_end(&other)?;
    finish(&other)?;
    read_end(&actor)?;
    close(other);
    close(actor);
    Ok(())
}

fn unread(actor: TcpStream, other: TcpStream) -> Result<()> {
    send(&other, b"12345")?;
    wait(&actor, PollFlags::POLLIN)?;
    close(actor);
    be_reset(&other)?;
    close(other);
    Ok(())
}

fn unread_after_fin(actor: TcpStream, other: TcpStream) -> Result<()> {
    send(&other, b"12345")?;
    finish(&other)?;
    look_to_the_end(&actor, 5)?;
    close(actor);
    be_reset(&other)?;
    close(other);
    Ok(())
}

fn linger(actor: TcpStream, other: TcpStream) -> Result<()> {
    linger_zero(&actor)?;
    close(actor);
    be_reset(&other)?;
    close(other);
    Ok(())
}

fn linger_after_fin(actor: TcpStream, other: TcpStream) -> Result<()> {
    finish(&other)?;
    read_end(&actor)?;
    linger(actor, other)
}

fn data_after_close(actor: TcpStream, other: TcpStream) -> Result<()> {
    close(actor);
    read_end(&other)?;
    send(&other, b"12345")?;
    wait(&other, PollFlags::POLLHUP)?;
    close(other);
    Ok(())
}

fn data_after_shutdown(actor: TcpStream, other: TcpStream) -> Result<()> {
    actor.shutdown(Shutdown::Both)?;
    read_end(&other)?;
    send(&other, b"12345")?;
    wait(&other, PollFlags::POLLHUP)?;
    close(other);
    close(actor);
    Ok(())
}

fn disconnect(actor: TcpStream, other: TcpStream) -> Result<()> {
    raw::disconnect(&actor)?;
    be_reset(&other)?;
    close(other);
    close(actor);
    Ok(())
}

/// Reads the RST of the other end.
pub(super) fn be_reset(socket: &TcpStream) -> Result<()> {
    let mut socket = socket;
    match socket.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => bail!("expected a reset, got {other:?}"),
    }
}

/// Waits for the FIN behind data of this length, and leaves the data unread.
fn look_to_the_end(socket: &TcpStream, length: usize) -> Result<()> {
    let mut buffer = vec![0; length + 1];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_WAITALL;
    let seen = recv(socket.as_raw_fd(), &mut buffer, flags).context("cannot peek")?;
    if seen != length {
        bail!("{seen} bytes stand before the FIN, not {length}");
    }
    Ok(())
}

fn wait(socket: &TcpStream, event: PollFlags) -> Result<()> {
    let mut polled = [PollFd::new(socket.as_fd(), event)];
    let ready = poll(&mut polled, PollTimeout::from(10_000_u16)).context("cannot poll")?;
    let seen = polled.first().and_then(PollFd::revents);
    if ready == 0 || !seen.is_some_and(|seen| seen.intersects(event)) {
        bail!("waited 10 s for {event:?}, got {seen:?}");
    }
    Ok(())
}
