//! A second namespace, and a cable between the two.
//!
//! Takes the calling thread's namespace; gives a far one that is joined to it by a pair of
//! veth devices, which can be cut. Never leaves the calling thread in the far one.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};

use super::net::Net;
use super::netlink::{IFF_UP, NLM_F_CREATE, RTA_DST, RTA_OIF, RTM_NEWLINK, RTM_NEWROUTE, request};

/// This end of the cable.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 8, 8, 1);
/// The other end of the cable.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 8, 8, 2);

/// The name of each device.
pub(super) const CABLE: &str = "cable";
const NAME: &[u8] = b"cable\0";
const DEVICE: u32 = 10;
/// Where both ends are in one namespace.
const OTHER_END: u32 = 11;
const OTHER_NAME: &[u8] = b"other\0";
const IFF_NOARP: u32 = 0x80;
const RTM_NEWADDR: u16 = 20;
const RTA_GATEWAY: u16 = 5;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// The far namespace.
#[derive(Debug)]
pub struct Far {
    home: File,
    there: File,
    /// Its inode number.
    pub inode: u64,
}

impl Far {
    /// Makes it and joins it to the calling thread's namespace `net`, which keeps it.
    pub fn join(net: &Net) -> Result<Self> {
        let home = net.file()?;
        let far = Net::enter_plain();
        setns(&home, CloneFlags::CLONE_NEWNET).context("cannot come back")?;
        let far = far?;
        let joined = Self {
            home,
            there: far.file()?,
            inode: net.keep(far),
        };
        pair_of_devices(&joined.there)?;
        address(NEAR)?;
        set_up(true)?;
        joined.inside(|| {
            address(FAR)?;
            set_up(true)
        })?;
        Ok(joined)
    }

    /// Does something in the far namespace.
    pub fn inside<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        setns(&self.there, CloneFlags::CLONE_NEWNET).context("cannot go there")?;
        let answer = act();
        setns(&self.home, CloneFlags::CLONE_NEWNET).context("cannot come back")?;
        answer
    }
}

/// Sets the near device down: the near end has no route any more, the far end's segments are
/// lost.
pub(crate) fn cut() -> Result<()> {
    set_up(false)
}

/// Sets it up again.
pub(crate) fn mend() -> Result<()> {
    set_up(true)
}

/// Why there can be no such pair here, if it cannot be made.
pub fn no_veth() -> Option<String> {
    // Each try keeps the lock that all changes of links take busy for a while.
    static WHY: LazyLock<Option<String>> = LazyLock::new(try_veth);
    WHY.clone()
}

fn try_veth() -> Option<String> {
    let tried = std::thread::spawn(|| {
        let net = Net::enter_plain()?;
        Far::join(&net)
    });
    match tried.join() {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("no veth devices: {error:#}")),
        Err(_panic) => Some("no veth devices".to_owned()),
    }
}

/// A route to one address through the far namespace.
pub(super) fn route_through_far(to: Ipv4Addr) -> Result<()> {
    let (main_table, boot, unicast) = (254, 3, 1);
    let mut body = vec![2, 32, 0, 0, main_table, boot, 0, unicast, 0, 0, 0, 0];
    body.extend(attribute(RTA_DST, &to.octets()));
    body.extend(attribute(RTA_GATEWAY, &FAR.octets()));
    request(RTM_NEWROUTE, NLM_F_CREATE, &body).with_context(|| format!("cannot route {to}"))
}

/// A route to one address that nobody has, through a cable that comes back to this namespace:
/// only a packet socket sees what is sent there. (A route out of `lo`, as IPv4 can have, the
/// kernel makes one that refuses: `fib6_config`.)
pub(super) fn route_into_a_loop(to: Ipv6Addr) -> Result<()> {
    make_pair(
        &[
            device_header(OTHER_END, 0, 0),
            attribute(IFLA_IFNAME, OTHER_NAME),
        ]
        .concat(),
    )?;
    // The first to come up drops what it should send until a worker of the kernel sees the other.
    request(RTM_NEWLINK, 0, &device_header(OTHER_END, IFF_UP, IFF_UP))?;
    // Without neighbours to look for.
    let flags = IFF_UP | IFF_NOARP;
    request(RTM_NEWLINK, 0, &device_header(DEVICE, flags, flags)).context("cannot set the link")?;
    let (family, main_table, boot, unicast) = (10, 254, 3, 1);
    let mut body = vec![family, 128, 0, 0, main_table, boot, 0, unicast, 0, 0, 0, 0];
    body.extend(attribute(RTA_DST, &to.octets()));
    body.extend(attribute(RTA_OIF, &DEVICE.to_ne_bytes()));
    request(RTM_NEWROUTE, NLM_F_CREATE, &body).with_context(|| format!("cannot route {to}"))
}

/// Joins the calling thread's namespace to another.
pub(super) fn pair_of_devices(far: &File) -> Result<()> {
    let fd = u32::try_from(far.as_raw_fd())?;
    let peer = [
        device_header(DEVICE, 0, 0),
        attribute(IFLA_IFNAME, NAME),
        attribute(IFLA_NET_NS_FD, &fd.to_ne_bytes()),
    ]
    .concat();
    make_pair(&peer)
}

fn make_pair(peer: &[u8]) -> Result<()> {
    let info = [
        attribute(IFLA_INFO_KIND, b"veth"),
        attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, peer)),
    ]
    .concat();
    let body = [
        device_header(DEVICE, 0, 0),
        attribute(IFLA_IFNAME, NAME),
        attribute(IFLA_LINKINFO, &info),
    ]
    .concat();
    request(RTM_NEWLINK, NLM_F_CREATE, &body).context("cannot make a pair of veth devices")
}

fn set_up(up: bool) -> Result<()> {
    let flags = if up { IFF_UP } else { 0 };
    request(RTM_NEWLINK, 0, &device_header(DEVICE, flags, IFF_UP)).context("cannot set the link")
}

/// Gives this end of the cable one more address.
pub(super) fn address(address: Ipv4Addr) -> Result<()> {
    let mut body = vec![2, 24, 0, 0];
    body.extend(DEVICE.to_ne_bytes());
    body.extend(attribute(IFA_LOCAL, &address.octets()));
    body.extend(attribute(IFA_ADDRESS, &address.octets()));
    request(RTM_NEWADDR, NLM_F_CREATE, &body).with_context(|| format!("cannot add {address}"))
}

/// `struct ifinfomsg`.
fn device_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

/// One attribute of a netlink message.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
