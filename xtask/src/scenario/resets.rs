//! Resets that one of two real sockets sends.

use std::net::{Ipv6Addr, Shutdown, TcpStream};

use anyhow::Result;

use super::Scenario;
use super::net::{Net, State};
use super::pair::{
    Pair, close, close_unheard, finish, linger_zero, read_end, send, wait_error, wait_unread,
};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("unread_data", "close() with 5 bytes unread", unread_data).counters(&[
        ("TCPAbortOnClose", 1),
        ("EstabResets", 2),
        ("OutRsts", 1),
    ]),
    Scenario::new(
        "unread_data_ipv6",
        "the same over ::1, by the server",
        unread_data_ipv6,
    )
    .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "unread_after_fin",
        "the peer sent data and its FIN; close() without reading",
        unread_after_fin,
    )
    .counters(&[("TCPAbortOnClose", 1), ("OutRsts", 1)]),
    Scenario::new("linger_zero", "close() with SO_LINGER 0", linger_zero_close).counters(&[
        ("TCPAbortOnData", 1),
        ("EstabResets", 2),
        ("OutRsts", 1),
    ]),
    Scenario::new(
        "linger_zero_after_fin",
        "close() with SO_LINGER 0 after the peer's FIN",
        linger_zero_after_fin,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
    Scenario::new(
        "data_after_close_minisock",
        "data for a FIN_WAIT2 minisock",
        data_after_close_minisock,
    )
    .counters(&[("ActiveOpens", 1), ("PassiveOpens", 1), ("OutRsts", 1)]),
    Scenario::new(
        "data_after_shutdown_both",
        "data for a full socket after shutdown(RDWR)",
        data_after_shutdown_both,
    )
    .counters(&[("TCPAbortOnData", 1), ("OutRsts", 1)]),
];

fn unread_data(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(5, 0, 0),
        pair.server_end("peer_reset"),
    ];
    leave_unread(&pair.server, pair.client)?;
    Ok(ends)
}

fn unread_data_ipv6(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::over(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())?;
    let ends = vec![
        pair.client_end("peer_reset"),
        pair.server_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(5, 0, 0),
    ];
    leave_unread(&pair.client, pair.server)?;
    Ok(ends)
}

/// Closes a socket whose peer's 5 bytes nobody has read.
pub(super) fn leave_unread(writer: &TcpStream, reader: TcpStream) -> Result<()> {
    send(writer, b"12345")?;
    wait_unread(&reader, 5)?;
    close(reader);
    wait_error(writer, libc::ECONNRESET)
}

fn unread_after_fin(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .initiator("peer")
            .half_closed(None)
            .left(5, 0, 0),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
    ];
    send(&pair.server, b"12345")?;
    finish(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn linger_zero_close(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_linger_zero")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset"),
    ];
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn linger_zero_after_fin(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_linger_zero")
            .closed_here(Closer::Close)
            .initiator("peer")
            .half_closed(None),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
    ];
    finish(&pair.server)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn data_after_close_minisock(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_data_after_close")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset_after_fin")
            .half_closed(None)
            .left(0, 0, 5),
    ];
    close_unheard(pair.client, &pair.server)?;
    net.wait_minisock(pair.client_at, pair.server_at, State::FinWait2)?;
    read_end(&pair.server)?;
    send(&pair.server, b"12345")?;
    wait_error(&pair.server, libc::EPIPE)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

fn data_after_shutdown_both(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let ends = vec![
        pair.client_end("reset_data_after_close")
            .closed_here(Closer::Shutdown),
        pair.server_end("peer_reset_after_fin")
            .half_closed(None)
            .left(0, 0, 5),
    ];
    pair.client.shutdown(Shutdown::Both)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    read_end(&pair.server)?;
    send(&pair.server, b"12345")?;
    wait_error(&pair.server, libc::EPIPE)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}
