//! Connections whose records the kernel encrypts: a layer between the application and TCP.

use std::io::{ErrorKind, Read as _};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::closes::client_first;
use super::net::{Net, State};
use super::pair::{Pair, close, finish, read, read_end, send, wait_error};
use super::raw::set_option;
use super::truth::{Closer, End};

/// `include/uapi/linux/tls.h`.
const SOL_TLS: i32 = 282;
const TLS_TX: i32 = 1;
const TLS_RX: i32 = 2;
const TLS_1_2: u16 = 0x0303;
const AES_GCM_128: u16 = 51;

/// Five bytes in a record: its header, the explicit nonce and the tag.
const RECORD: u32 = 5 + 8 + 5 + 16;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("ktls_close", "request, answer, close", ktls_close)
        .counters(&[("EstabResets", 0), ("OutRsts", 0)])
        .unless(no_ktls),
    Scenario::new("ktls_unread", "close() with a record unread", ktls_unread)
        .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)])
        .unless(no_ktls),
    Scenario::new(
        "ktls_bad_record",
        "a record that does not decrypt, and both ends shut down",
        ktls_bad_record,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0)])
    .unless(no_ktls),
    Scenario::new(
        "ktls_bad_record_closed",
        "a record that does not decrypt, and close()",
        ktls_bad_record_closed,
    )
    .counters(&[("TCPAbortOnClose", 1), ("EstabResets", 2), ("OutRsts", 1)])
    .unless(no_ktls),
];

/// A kernel with kTLS wants a connection; one without knows no such protocol.
fn no_ktls() -> Option<String> {
    let attempt = Socket::new(Domain::IPV4, Type::STREAM, None)
        .and_then(|socket| set_option(&socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls"));
    match attempt {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => None,
        other => Some(format!("the kernel has no kTLS: {other:?}")),
    }
}

fn ktls_close(net: &Net) -> Result<Vec<End>> {
    let pair = encrypted(7, 7)?;
    send(&pair.client, b"request")?;
    read(&pair.server, b"request")?;
    send(&pair.server, b"answer")?;
    read(&pair.client, b"answer")?;
    client_first(net, pair)
}

fn ktls_unread(net: &Net) -> Result<Vec<End>> {
    let pair = encrypted(7, 7)?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(RECORD.into(), 0, 0),
        pair.server_end("peer_reset"),
    ];
    send(&pair.server, b"12345")?;
    net.wait_unread(pair.client_at, pair.server_at, RECORD)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn ktls_bad_record(net: &Net) -> Result<Vec<End>> {
    let pair = encrypted(7, 8)?;
    let ends = vec![
        End {
            // The record that nobody could read is still there to be read.
            unread: None,
            ..pair
                .client_end("passive_close")
                .closed_here(Closer::Shutdown)
                .half_closed(None)
        },
        pair.server_end("active_close")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
    ];
    fail_to_read(&pair)?;
    finish(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    finish(&pair.client)?;
    read_end(&pair.server)?;
    net.wait_minisock(pair.server_at, pair.client_at, State::TimeWait)?;
    net.wait_gone(pair.client_at, pair.server_at)?;
    Ok(ends)
}

fn ktls_bad_record_closed(_net: &Net) -> Result<Vec<End>> {
    let pair = encrypted(7, 8)?;
    let ends = vec![
        pair.client_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(RECORD.into(), 0, 0),
        pair.server_end("peer_reset"),
    ];
    fail_to_read(&pair)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(ends)
}

/// The error that this leaves in the socket is of no consequence for the connection.
fn fail_to_read(pair: &Pair) -> Result<()> {
    send(&pair.server, b"12345")?;
    let mut client = &pair.client;
    match client.read(&mut [0; 5]) {
        Err(error) if error.raw_os_error() == Some(libc::EBADMSG) => Ok(()),
        Err(late) if late.kind() == ErrorKind::WouldBlock => Err(late.into()),
        other => bail!("expected EBADMSG, got {other:?}"),
    }
}

/// A pair with a key for each direction, made of one byte: the server's, and what the client
/// takes for it.
fn encrypted(server_key: u8, taken_for: u8) -> Result<Pair> {
    let pair = Pair::new()?;
    for (socket, sends, receives) in [(&pair.client, 5, taken_for), (&pair.server, server_key, 5)] {
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")?;
        for (direction, key) in [(TLS_TX, sends), (TLS_RX, receives)] {
            set_option(socket, SOL_TLS, direction, &cipher(key))
                .context("the kernel does not take AES-GCM-128")?;
        }
    }
    Ok(pair)
}

/// `struct tls12_crypto_info_aes_gcm_128`.
fn cipher(byte: u8) -> Vec<u8> {
    let (nonce, key, salt, sequence) = ([1; 8], [byte; 16], [2; 4], [0; 8]);
    let mut info = Vec::new();
    info.extend(TLS_1_2.to_ne_bytes());
    info.extend(AES_GCM_128.to_ne_bytes());
    info.extend(nonce);
    info.extend(key);
    info.extend(salt);
    info.extend(sequence);
    info
}
