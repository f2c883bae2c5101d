//! shutdown() of the receive side, which says nothing on the wire.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read, read_end, send, wait_error, wait_unread};
use super::truth::{Closer, End, canonical};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "shut_read_then_close",
        "shutdown(RD), data comes and is read, close()",
        shut_read_then_close,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shut_read_then_peer_closes",
        "shutdown(RD), and the peer closes first",
        shut_read_then_peer_closes,
    )
    .counters(NO_RESET),
    Scenario::new(
        "shut_read_unread",
        "shutdown(RD), data comes, close() without reading",
        shut_read_unread,
    )
    .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "shut_read_then_write",
        "shutdown(RD), shutdown(WR), and data comes",
        shut_read_then_write,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
    Scenario::new(
        "listener_shut_read",
        "shutdown(RD) of a listener with a connection in its queue",
        listener_shut_read,
    )
    .counters(QUEUE_RESET),
    Scenario::new(
        "listener_shut_both",
        "shutdown(RDWR) of a listener with a connection in its queue",
        listener_shut_both,
    )
    .counters(QUEUE_RESET),
];

const NO_RESET: &[(&str, i64)] = &[("EstabResets", 0), ("OutRsts", 0)];
const QUEUE_RESET: &[(&str, i64)] = &[("EstabResets", 2), ("OutRsts", 1)];

fn shut_read_then_close(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("active_close"), Closer::Close),
        closed(pair.server_end("passive_close"), Closer::Close),
    ];
    take_after_shut_read(&pair)?;
    close(pair.client);
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    read_end(&pair.server)?;
    close(pair.server);
    net.wait_minisock(pair.client_at, pair.server_at, State::TimeWait)?;
    net.wait_gone(pair.server_at, pair.client_at)?;
    Ok(ends)
}

fn shut_read_then_peer_closes(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("passive_close"), Closer::Close),
        closed(pair.server_end("active_close"), Closer::Close),
    ];
    take_after_shut_read(&pair)?;
    close(pair.server);
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    close(pair.client);
    net.wait_minisock(pair.server_at, pair.client_at, State::TimeWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

/// `shutdown(RD)` says nothing on the wire, and data still comes in.
fn take_after_shut_read(pair: &Pair) -> Result<()> {
    pair.client.shutdown(Shutdown::Read)?;
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    read(&pair.client, b"12345")
}

fn shut_read_unread(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("reset_unread_data"), Closer::Close).left(5, 0, 0),
        pair.server_end("peer_reset").attributes(&[]),
    ];
    pair.client.shutdown(Shutdown::Read)?;
    send(&pair.server, b"12345")?;
    wait_unread(&pair.client, 5)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn shut_read_then_write(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        closed(pair.client_end("reset_data_after_close"), Closer::Shutdown),
        pair.server_end("peer_reset_after_fin")
            .half_closed(None)
            .left(0, 0, 5)
            .attributes(&[]),
    ];
    pair.client.shutdown(Shutdown::Read)?;
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    send(&pair.server, b"12345")?;
    wait_error(&pair.server, libc::EPIPE)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

fn listener_shut_read(net: &Net) -> Result<Vec<End>> {
    listener_shut(net, Shutdown::Read)
}

fn listener_shut_both(net: &Net) -> Result<Vec<End>> {
    listener_shut(net, Shutdown::Both)
}

/// `tcp_disconnect` of a listener resets what waits in its accept queue.
fn listener_shut(net: &Net, how: Shutdown) -> Result<Vec<End>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server_at = listener.local_addr()?;
    let client = TcpStream::connect(server_at)?;
    let client_at = canonical(client.local_addr()?);
    net.wait_state(server_at, client_at, State::Established)?;
    let ends = vec![
        End::client(client_at, server_at, "peer_reset").attributes(&[]),
        closed(
            End::server(server_at, client_at, "reset_listener_closed"),
            Closer::Nobody,
        ),
    ];
    SockRef::from(&listener).shutdown(how)?;
    wait_error(&client, libc::ECONNRESET)?;
    Ok(ends)
}

fn closed(end: End, closer: Closer) -> End {
    end.closed_here(closer).attributes(&[])
}
