//! Sockets to serve on: by address, or handed over by systemd.
//!
//! Takes addresses, or what the service manager passed; gives listeners, or an error that names
//! the remedy.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as Passed};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use tokio::net::TcpListener;

/// Ports up to this one need a privilege, unless the host is set otherwise.
const LAST_PRIVILEGED: u16 = 1023;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct BindError {
    address: SocketAddr,
    why: String,
}

/// Listens on every address, or on none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind_one(*address).await.map_err(|error| BindError {
            address: *address,
            why: why(*address, &error),
        })?);
    }
    Ok(listeners)
}

async fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
    match TcpListener::bind(address).await {
        // `:PORT` means every address, on hosts without IPv6 too.
        Err(error) if address == every && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the standard library has more kinds than have a remedy"
)]
fn why(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the port is in use; see who holds it with `ss -ltnp sport = :{port}`, or choose \
             another with --web.listen-address"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address; choose one with --web.listen-address".to_owned()
        }
        io::ErrorKind::PermissionDenied if port <= LAST_PRIVILEGED => format!(
            "port {port} needs CAP_NET_BIND_SERVICE; choose one above 1023 with --web.listen-address"
        ),
        _ => format!("{error}; choose another address with --web.listen-address"),
    }
}

/// Why sockets of systemd cannot be served on.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// None came.
    #[error(
        "--web.systemd-socket: no socket was passed; start the agent by a systemd service that \
         has a .socket unit, or leave the flag out"
    )]
    None,
    /// One is of no use.
    #[error(
        "--web.systemd-socket: {0}; the .socket unit must have ListenStream=ADDRESS:PORT and \
         Accept=no"
    )]
    Unfit(String),
}

/// Takes the sockets that the service manager passed (sd_listen_fds(3)). Call it before there are
/// threads: it takes them out of the environment.
pub fn handed_over() -> Result<Vec<Passed>, HandOverError> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..passed.len() {
        let taken = passed.take_tcp_listener(place);
        let taken = taken.map_err(|error| HandOverError::Unfit(error.to_string()))?;
        let Some(listener) = taken else { continue };
        if !socket_acceptconn(&listener).unwrap_or(false) {
            let what = format!("socket {place} does not listen");
            return Err(HandOverError::Unfit(what));
        }
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err(HandOverError::None);
    }
    Ok(listeners)
}

/// Makes listeners of this runtime of those that were passed.
pub fn adopt(passed: Vec<Passed>) -> io::Result<Vec<TcpListener>> {
    let adopt = |listener: Passed| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    passed.into_iter().map(adopt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_blamed_only_for_ports_that_need_them() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        for (port, is_blamed) in [(80, true), (1023, true), (1024, false), (10793, false)] {
            let why = why(SocketAddr::from(([127, 0, 0, 1], port)), &denied);
            assert_eq!(why.contains("CAP_NET_BIND_SERVICE"), is_blamed, "{why}");
            assert!(why.contains("--web.listen-address"), "{why}");
        }
    }
}
