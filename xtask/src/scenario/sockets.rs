//! What the kernel lists in `/proc/net/tcp` and `/proc/net/tcp6`.
//!
//! Takes the calling thread's namespace; gives a row for each socket. Never another namespace's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, anyhow};

/// One socket.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) state: u8,
    /// Bytes in the receive queue.
    pub(super) unread: u32,
    pub(super) minisock: bool,
}

/// All sockets, minisocks and requests of the calling thread's namespace.
pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for path in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        // tcp6 is missing on a kernel without IPv6.
        let text = fs::read_to_string(path).unwrap_or_default();
        for line in text.lines().skip(1) {
            rows.push(row(line).ok_or_else(|| anyhow!("cannot read this line of {path}: {line}"))?);
        }
    }
    Ok(rows)
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, unread) = fields.get(4)?.split_once(':')?;
    let timer_of_a_minisock = "03:";
    Some(Row {
        local: address(fields.get(1)?)?,
        peer: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        unread: u32::from_str_radix(unread, 16).ok()?,
        minisock: fields.get(5)?.starts_with(timer_of_a_minisock),
    })
}

/// Parses `0100007F:1F90`: 32-bit words of network bytes, printed as host numbers.
fn address(text: &str) -> Option<SocketAddr> {
    let (hex, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(
            u32::from_str_radix(hex.get(at..at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        );
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(*bytes.first_chunk()?)),
        16 => IpAddr::from(Ipv6Addr::from(*bytes.first_chunk()?)),
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port))
}
