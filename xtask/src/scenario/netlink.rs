//! The few things a fresh namespace needs of rtnetlink: `lo` up, a route to an address that
//! answers nothing, routes that refuse, and no route at all.
//!
//! Takes addresses; gives nothing but success. Never touches a namespace other than the
//! calling thread's.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

const AF_NETLINK: i32 = 16;
const LOOPBACK_INDEX: u32 = 1;
pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_REQUEST_ACK: u16 = NLM_F_REQUEST | 0x4;
const NLMSG_ERROR: u16 = 2;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const IFF_UP: u32 = 1;
pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
const RT_SCOPE_LINK: u8 = 253;
const NETLINK_ROUTE: i32 = 0;

/// Brings `lo` up, which also gives it 127.0.0.1/8 and `::1`.
pub(super) fn loopback_up() -> Result<()> {
    let mut body = vec![0, 0, 0, 0];
    body.extend(LOOPBACK_INDEX.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    request(RTM_NEWLINK, 0, &body).context("cannot bring lo up")
}

/// Routes `to` out of `lo`. The address is not local, so what the kernel sends there comes
/// back in and is dropped: only a packet socket sees it.
pub(super) fn route_into_the_void(to: Ipv4Addr) -> Result<()> {
    let (main_table, boot, unicast) = (254, 3, 1);
    let mut body = vec![
        2,
        32,
        0,
        0,
        main_table,
        boot,
        RT_SCOPE_LINK,
        unicast,
        0,
        0,
        0,
        0,
    ];
    for (kind, value) in [
        (RTA_DST, to.octets()),
        (RTA_OIF, LOOPBACK_INDEX.to_ne_bytes()),
    ] {
        body.extend(8_u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
    }
    request(RTM_NEWROUTE, NLM_F_CREATE, &body).with_context(|| format!("cannot route {to} to lo"))
}

/// What a route may answer instead of leading anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// EHOSTUNREACH.
    Unreachable = 7,
    /// EACCES.
    Prohibit = 8,
}

/// A route that refuses what goes to this address.
pub(super) fn route_to_nowhere(to: Ipv4Addr, refusal: Refusal) -> Result<()> {
    let (main_table, boot) = (254, 3);
    let mut body = vec![2, 32, 0, 0, main_table, boot, 0, refusal as u8, 0, 0, 0, 0];
    body.extend(destination(to));
    request(RTM_NEWROUTE, NLM_F_CREATE, &body).with_context(|| format!("cannot refuse {to}"))
}

/// Takes away the only route to this address.
pub(super) fn forget_route(to: Ipv4Addr) -> Result<()> {
    let (main_table, any_scope) = (254, 255);
    let mut body = vec![2, 32, 0, 0, main_table, 0, any_scope, 0, 0, 0, 0, 0];
    body.extend(destination(to));
    request(RTM_DELROUTE, 0, &body).with_context(|| format!("cannot forget the route to {to}"))
}

fn destination(to: Ipv4Addr) -> Vec<u8> {
    let mut attribute = 8_u16.to_ne_bytes().to_vec();
    attribute.extend(RTA_DST.to_ne_bytes());
    attribute.extend(to.octets());
    attribute
}

/// Sends one request about the network and waits for its acknowledgement.
pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> Result<()> {
    ask(NETLINK_ROUTE, kind, flags, body)
}

/// Sends one request of any protocol and waits for its acknowledgement. The errno of a refusal
/// is the error's source.
pub(super) fn ask(protocol: i32, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
    let answer = exchange(protocol, kind, NLM_F_REQUEST_ACK | flags, body)?;
    match errno(&answer) {
        Some(0) => Ok(()),
        Some(negative) => Err(std::io::Error::from_raw_os_error(-negative).into()),
        None => bail!("netlink answered with {} bytes", answer.len()),
    }
}

/// Sends one request that has an answer beside its acknowledgement: what follows the header of
/// its first message. The errno of a refusal is the error's source.
pub(super) fn inquire(protocol: i32, kind: u16, body: &[u8]) -> Result<Vec<u8>> {
    let answer = exchange(protocol, kind, NLM_F_REQUEST, body)?;
    let said = answer.get(4..6) == Some(&NLMSG_ERROR.to_ne_bytes());
    match (said, errno(&answer), answer.get(16..)) {
        (true, Some(negative), _) => Err(std::io::Error::from_raw_os_error(-negative).into()),
        (false, _, Some(body)) => Ok(body.to_vec()),
        _ => bail!("netlink answered with {} bytes", answer.len()),
    }
}

fn errno(answer: &[u8]) -> Option<i32> {
    let bytes = answer.get(16..)?.first_chunk()?;
    Some(i32::from_ne_bytes(*bytes))
}

/// Sends one message; gives the first that comes back.
fn exchange(protocol: i32, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<u8>> {
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(u32::try_from(16 + body.len())?.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);

    let mut socket = Socket::new(
        Domain::from(AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(protocol)),
    )?;
    socket.write_all(&message)?;
    let mut answer = vec![0; 4096];
    let length = socket.read(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}
