//! The kernel's path manager of Multipath TCP, asked over generic netlink.
//!
//! Takes addresses; changes what the calling thread's namespace announces and accepts. Gives
//! nothing but success. Never makes a subflow itself: the kernel does.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use super::link::attribute;
use super::netlink::{ask, inquire};

const NETLINK_GENERIC: i32 = 16;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const FAMILY: &[u8] = b"mptcp_pm\0";
const VERSION: u8 = 1;
const NLA_F_NESTED: u16 = 0x8000;
// Of include/uapi/linux/mptcp.h and mptcp_pm.h.
const CMD_ADD_ADDR: u8 = 1;
const CMD_SET_LIMITS: u8 = 5;
const ATTR_ADDR: u16 = 1;
const ATTR_RCV_ADD_ADDRS: u16 = 2;
const ATTR_SUBFLOWS: u16 = 3;
const ADDR_ATTR_FAMILY: u16 = 1;
const ADDR_ATTR_ADDR4: u16 = 3;
const ADDR_ATTR_FLAGS: u16 = 6;
const FLAG_SIGNAL: u32 = 1;
const AF_INET: u16 = 2;

/// A connection may have this many subflows beside its first, and accept as many addresses.
pub(super) fn allow(subflows: u32) -> Result<()> {
    let limits = [
        attribute(ATTR_RCV_ADD_ADDRS, &subflows.to_ne_bytes()),
        attribute(ATTR_SUBFLOWS, &subflows.to_ne_bytes()),
    ];
    tell(CMD_SET_LIMITS, &limits.concat()).context("cannot set the limits of MPTCP")
}

/// Each connection of this namespace tells its peer that it can be reached at `address` too.
pub(super) fn announce(address: Ipv4Addr) -> Result<()> {
    let endpoint = [
        attribute(ADDR_ATTR_FAMILY, &AF_INET.to_ne_bytes()),
        attribute(ADDR_ATTR_ADDR4, &address.octets()),
        attribute(ADDR_ATTR_FLAGS, &FLAG_SIGNAL.to_ne_bytes()),
    ];
    let endpoint = attribute(ATTR_ADDR | NLA_F_NESTED, &endpoint.concat());
    tell(CMD_ADD_ADDR, &endpoint).with_context(|| format!("cannot announce {address}"))
}

fn tell(command: u8, attributes: &[u8]) -> Result<()> {
    ask(NETLINK_GENERIC, family()?, 0, &message(command, attributes))
}

/// The number that this boot of the kernel gave the family.
fn family() -> Result<u16> {
    let name = attribute(CTRL_ATTR_FAMILY_NAME, FAMILY);
    let asked = message(CTRL_CMD_GETFAMILY, &name);
    let answer = inquire(NETLINK_GENERIC, GENL_ID_CTRL, &asked)
        .context("the kernel has no path manager of MPTCP")?;
    let attributes = answer.get(4..).unwrap_or_default();
    let id = value_of(CTRL_ATTR_FAMILY_ID, attributes).and_then(<[u8]>::first_chunk);
    Ok(u16::from_ne_bytes(
        *id.context("a family without a number")?,
    ))
}

/// `struct genlmsghdr`, then the attributes.
fn message(command: u8, attributes: &[u8]) -> Vec<u8> {
    let mut message = vec![command, VERSION, 0, 0];
    message.extend(attributes);
    message
}

fn value_of(kind: u16, attributes: &[u8]) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_ne_bytes(*length));
        if after.first_chunk() == Some(&kind.to_ne_bytes()) {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}
