//! A fresh network namespace, and what the kernel says of the sockets in it.
//!
//! Takes a thread of its own; gives a [`Net`] that keeps the namespace alive, so that its
//! inode number stays its own. Never leaves the namespace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, unshare};

use super::clock::{CEILING, wait_for};
use super::netlink;

/// The address of the scripted peer, and of nobody where no script runs.
pub const VOID: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
/// A second one, for a relay between two real sockets.
pub const VOID_BACK: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 8);

/// The calling thread's own network namespace.
#[derive(Debug)]
pub struct Net {
    /// Inode number of the namespace.
    pub inode: u64,
    /// An open namespace file: without it the kernel could give the inode number to the next.
    _alive: File,
}

/// A socket's state as `/proc/net/tcp` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 9293")]
pub enum State {
    Established = 1,
    SynSent = 2,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    CloseWait = 8,
    LastAck = 9,
    Closing = 11,
}

#[derive(Debug)]
struct Row {
    local: SocketAddr,
    peer: SocketAddr,
    state: u8,
    minisock: bool,
}

#[expect(
    clippy::unused_self,
    reason = "the namespace is the calling thread's, as long as there is a Net"
)]
impl Net {
    /// Moves the calling thread into a new namespace, with `lo` up, an address that answers
    /// nothing, and a small hash table of its own where the kernel can give it one: reading
    /// /proc/net/tcp walks the whole table.
    pub fn enter() -> Result<Self> {
        unshare_net()?;
        // The knob is for the namespaces that are made inside this one.
        let knob = "/proc/sys/net/ipv4/tcp_child_ehash_entries";
        if fs::exists(knob)? {
            fs::write(knob, "1024").with_context(|| format!("cannot set {knob}"))?;
        }
        let net = Self::enter_plain()?;
        netlink::route_into_the_void(VOID)?;
        netlink::route_into_the_void(VOID_BACK)?;
        Ok(net)
    }

    /// Moves the calling thread into a new namespace with `lo` up, and nothing else.
    pub fn enter_plain() -> Result<Self> {
        unshare_net()?;
        netlink::loopback_up()?;
        let alive = File::open("/proc/thread-self/ns/net").context("cannot open the namespace")?;
        let inode = alive.metadata()?.ino();
        Ok(Self {
            inode,
            _alive: alive,
        })
    }

    /// Sets `net.ipv4.NAME` of this namespace.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        fs::write(format!("/proc/sys/net/ipv4/{name}"), value)
            .with_context(|| format!("cannot set net.ipv4.{name}={value}"))
    }

    /// Sets `net.ipv4.NAME` where this kernel has it.
    pub fn set_if_there(&self, name: &str, value: &str) -> Result<()> {
        if fs::exists(format!("/proc/sys/net/ipv4/{name}"))? {
            self.set(name, value)?;
        }
        Ok(())
    }

    /// Waits until the full socket with these ends is in `state`.
    pub fn wait_state(&self, local: SocketAddr, peer: SocketAddr, state: State) -> Result<()> {
        self.wait_row(local, peer, &format!("{state:?}"), |row| {
            row.is_some_and(|row| row.state == state as u8 && !row.minisock)
        })
    }

    /// Waits until a minisock in `state` holds these ends.
    pub fn wait_minisock(&self, local: SocketAddr, peer: SocketAddr, state: State) -> Result<()> {
        self.wait_row(local, peer, &format!("a minisock in {state:?}"), |row| {
            row.is_some_and(|row| row.state == state as u8 && row.minisock)
        })
    }

    /// Waits until no socket and no minisock holds these ends.
    pub fn wait_gone(&self, local: SocketAddr, peer: SocketAddr) -> Result<()> {
        self.wait_row(local, peer, "its end", |row| row.is_none())
    }

    fn wait_row(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        what: &str,
        fits: impl Fn(Option<&Row>) -> bool,
    ) -> Result<()> {
        let mut seen = String::new();
        wait_for(what, CEILING, || {
            let rows = rows()?;
            let row = rows
                .iter()
                .find(|row| (row.local, row.peer) == (local, peer));
            seen = row.map_or_else(|| "gone".to_owned(), |row| format!("state {}", row.state));
            Ok(fits(row).then_some(()))
        })
        .with_context(|| format!("{local} to {peer} is {seen}"))
    }

    /// How many sockets and minisocks this namespace has, listeners not counted.
    pub fn connections(&self) -> Result<usize> {
        let listening = 10;
        Ok(rows()?.iter().filter(|row| row.state != listening).count())
    }

    /// Connections that are not over: neither listening nor in TIME_WAIT.
    pub fn unfinished(&self) -> Result<usize> {
        let over = [State::TimeWait as u8, 10];
        Ok(rows()?
            .iter()
            .filter(|row| !over.contains(&row.state))
            .count())
    }

    /// The namespace's own `Tcp` and `TcpExt` counters, which start at 0 with it.
    pub fn counters(&self) -> Result<BTreeMap<String, i64>> {
        let mut counters = BTreeMap::new();
        for path in [
            "/proc/thread-self/net/snmp",
            "/proc/thread-self/net/netstat",
        ] {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("Tcp"))
                .collect();
            for pair in lines.chunks_exact(2) {
                let [names, values] = pair else {
                    bail!("{path} has an odd line")
                };
                for (name, value) in names.split(' ').zip(values.split(' ')).skip(1) {
                    counters.insert(name.to_owned(), value.parse()?);
                }
            }
        }
        Ok(counters)
    }

    /// Checks that what a scenario claims really happened, by the kernel's own counters.
    pub fn check_counters(&self, expected: &[(&str, i64)]) -> Result<()> {
        let mut wrong = String::new();
        wait_for("the kernel's counters", CEILING / 3, || {
            let counters = self.counters()?;
            wrong.clear();
            for (name, want) in expected {
                let got = counters.get(*name).copied().unwrap_or_default();
                if got != *want {
                    write!(wrong, "{name} is {got}, not {want}; ").ok();
                }
            }
            Ok(wrong.is_empty().then_some(()))
        })
        .map_err(|_late| anyhow!("the kernel counted otherwise: {wrong}"))
    }
}

fn unshare_net() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace; needs root")
}

fn rows() -> Result<Vec<Row>> {
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
    let timer_of_a_minisock = "03:";
    Some(Row {
        local: address(fields.get(1)?)?,
        peer: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
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
