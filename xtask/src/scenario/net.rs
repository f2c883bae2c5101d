//! A fresh network namespace, and what the kernel says of the sockets in it.
//!
//! Takes a thread of its own; gives a [`Net`] that keeps the namespace alive, so that its
//! inode number stays its own. Never leaves the namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

use super::clock::{CEILING, wait_for};
use super::link::route_into_a_loop;
use super::netlink;
use super::sockets::{Row, rows};

/// The address of the scripted peer, and of nobody where no script runs.
pub const VOID: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
/// The same for a script over IPv6.
pub const VOID_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 9);
/// A second one, for a relay between two real sockets.
pub const VOID_BACK: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 8);

/// The calling thread's own network namespace.
#[derive(Debug)]
pub struct Net {
    /// Inode number of the namespace.
    pub inode: u64,
    /// An open namespace file: without it the kernel could give the inode number to the next.
    alive: Arc<File>,
    /// Others that belong to the same scenario.
    others: Arc<Mutex<Vec<Self>>>,
    /// Inode numbers of those that are gone.
    gone: Arc<Mutex<Vec<u64>>>,
    /// Whether scripts run over IPv6.
    ipv6: bool,
}

/// A socket's state as `/proc/net/tcp` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 9293")]
pub enum State {
    Established = 1,
    SynSent = 2,
    SynRecv = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    CloseWait = 8,
    LastAck = 9,
    Closing = 11,
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
            alive: Arc::new(alive),
            others: Arc::default(),
            gone: Arc::default(),
            ipv6: false,
        })
    }

    /// The same namespace for a script over IPv6.
    pub fn over_ipv6(&self) -> Result<Self> {
        route_into_a_loop(VOID_V6)?;
        Ok(Self {
            ipv6: true,
            alive: Arc::clone(&self.alive),
            others: Arc::clone(&self.others),
            gone: Arc::clone(&self.gone),
            ..*self
        })
    }

    /// The address of the scripted peer.
    pub fn void(&self) -> IpAddr {
        if self.ipv6 {
            VOID_V6.into()
        } else {
            VOID.into()
        }
    }

    /// The address of the real end where the peer is scripted.
    pub fn loopback(&self) -> IpAddr {
        loopback_of(self.void())
    }

    /// Gives a plain namespace the address that answers nothing, too.
    pub fn add_void(&self) -> Result<()> {
        netlink::route_into_the_void(VOID)
    }

    /// A file of this namespace, as long as it lives: any process of this host can enter it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.alive.as_raw_fd())
    }

    /// The namespace as an open file.
    pub fn file(&self) -> Result<File> {
        Ok(self.alive.try_clone()?)
    }

    /// Keeps another namespace of the same scenario: gives its inode number.
    pub fn keep(&self, other: Self) -> u64 {
        let inode = other.inode;
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(other);
        inode
    }

    /// A namespace of the same scenario that is gone, by its inode number.
    pub fn remember(&self, inode: u64) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.push(inode);
    }

    /// The inode numbers of this one, of those that it keeps and of those that are gone, each
    /// once.
    pub fn inodes(&self) -> BTreeSet<u64> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = others.iter().map(|other| other.inode);
        let gone = gone.iter().copied();
        [self.inode].into_iter().chain(kept).chain(gone).collect()
    }

    /// The counters of this one and of those that it keeps, added up.
    pub fn all_counters(&self) -> Result<BTreeMap<String, i64>> {
        let mut sum = self.counters()?;
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        for other in others.iter() {
            setns(&*other.alive, CloneFlags::CLONE_NEWNET)?;
            let counters = self.counters();
            setns(&*self.alive, CloneFlags::CLONE_NEWNET)?;
            for (name, count) in counters? {
                *sum.entry(name).or_default() += count;
            }
        }
        Ok(sum)
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

    /// Waits until so many bytes are there that nobody has read.
    pub fn wait_unread(&self, local: SocketAddr, peer: SocketAddr, bytes: u32) -> Result<()> {
        self.wait_row(local, peer, &format!("{bytes} unread bytes"), |row| {
            row.is_some_and(|row| row.unread == bytes)
        })
    }

    /// Waits until the full socket or a minisock with these ends is in FIN_WAIT2.
    pub fn wait_fin_wait2(&self, local: SocketAddr, peer: SocketAddr) -> Result<()> {
        self.wait_row(local, peer, "FIN_WAIT2", |row| {
            row.is_some_and(|row| row.state == State::FinWait2 as u8)
        })
    }

    /// Waits until no socket and no minisock holds these ends.
    pub fn wait_gone(&self, local: SocketAddr, peer: SocketAddr) -> Result<()> {
        self.wait_row(local, peer, "its end", |row| row.is_none())
    }

    /// Whether a minisock in `state` holds these ends now.
    pub fn holds(&self, local: SocketAddr, peer: SocketAddr, state: State) -> Result<bool> {
        Ok(rows()?.iter().any(|row| {
            (row.local, row.peer) == (local, peer) && row.state == state as u8 && row.minisock
        }))
    }

    /// The ends of the full sockets in `state`.
    pub fn ends_in(&self, state: State) -> Result<BTreeSet<(SocketAddr, SocketAddr)>> {
        let rows = rows()?.into_iter();
        let in_state = rows.filter(|row| row.state == state as u8 && !row.minisock);
        Ok(in_state.map(|row| (row.local, row.peer)).collect())
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

    /// The namespace's own `Tcp`, `TcpExt` and `MPTcpExt` counters, which start at 0 with it.
    pub fn counters(&self) -> Result<BTreeMap<String, i64>> {
        let mut counters = BTreeMap::new();
        for path in [
            "/proc/thread-self/net/snmp",
            "/proc/thread-self/net/netstat",
        ] {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("Tcp") || line.starts_with("MPTcpExt"))
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

    /// Checks that what a scenario claims really happened, by the kernel's own counters in all
    /// of its namespaces.
    pub fn check_counters(&self, expected: &[(&str, i64)]) -> Result<()> {
        let mut wrong = String::new();
        wait_for("the kernel's counters", CEILING / 3, || {
            let counters = self.all_counters()?;
            wrong.clear();
            for (name, want) in expected {
                let got = counters.get(*name).copied().unwrap_or_default();
                if got != *want {
                    write!(wrong, "{name} is {got}, not {want}; ").ok();
                }
            }
            Ok(wrong.is_empty().then_some(()))
        })
        // A slow machine's own resets are counted too, so that this may be told by a second try.
        .with_context(|| format!("the kernel counted otherwise: {wrong}"))
    }
}

/// The loopback address of the family of this one.
pub fn loopback_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

fn unshare_net() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace; needs root")
}
