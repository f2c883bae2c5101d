//! The end of a connection as `ss -K` asks for it.
//!
//! Takes the ends of a connection; gives success, or the errno of the refusal. Never touches
//! a namespace other than the calling thread's.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::netlink::ask;

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DESTROY: u16 = 21;

/// Destroys the connection with these ends, whatever it is by now; without one it would be the
/// listener there. The errno of a refusal is the error's source.
pub(super) fn destroy(local: SocketAddr, peer: SocketAddr) -> Result<()> {
    let (inet, inet6) = (2, 10);
    let family = if local.is_ipv4() { inet } else { inet6 };
    let mut body = vec![family, 6, 0, 0];
    let any_state = u32::MAX;
    body.extend(any_state.to_ne_bytes());
    for port in [local.port(), peer.port()] {
        body.extend(port.to_be_bytes());
    }
    for ip in [local.ip(), peer.ip()] {
        let mut words = [0; 16];
        match ip {
            IpAddr::V4(ip) => words[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => words = ip.octets(),
        }
        body.extend(words);
    }
    let (any_interface, no_cookie) = ([0; 4], [u8::MAX; 8]);
    body.extend(any_interface);
    body.extend(no_cookie);
    ask(NETLINK_SOCK_DIAG, SOCK_DESTROY, 0, &body)
}
