//! Connections over loopback that are closed at once, one after the other.
//!
//! Takes how many and for how long; gives what they cost this process. A pair of addresses comes
//! again only after some seconds, as it does with a busy client, and then takes over its
//! TIME_WAIT: what one connection costs does not depend on how many there were before.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};

use super::Load;
use crate::bench::stats::number;
use crate::scenario::clock::now;
use crate::scenario::net::Net;

const FIRST_SERVER_PORT: u16 = 5000;
/// Ports of one client address.
const PORTS: u32 = 50_000;
const FIRST_CLIENT_PORT: u32 = 10_000;
/// Client addresses of one thread. The kernel takes a TIME_WAIT over a second after its end
/// (`tcp_twsk_unique`): no thread makes this many times [`PORTS`] connections in that time.
const ADDRESSES: u32 = 8;
const PAIRS: u64 = (ADDRESSES * PORTS) as u64;
/// Looks at the clock between so many connections.
const CLOCK: u64 = 64;

/// What was made, and what it cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(in crate::bench) struct Made {
    /// Connections; each has two ends here.
    pub(in crate::bench) connections: u64,
    /// CPU of the process by `CLOCK_PROCESS_CPUTIME_ID`, ns.
    pub(in crate::bench) cpu_ns: u64,
    /// Its parts in user and in system mode, as getrusage(2) splits them, ns.
    pub(in crate::bench) user_ns: u64,
    pub(in crate::bench) system_ns: u64,
    /// Time that passed, ns.
    pub(in crate::bench) wall_ns: u64,
}

impl Made {
    /// Both together.
    pub(in crate::bench) fn and(self, more: Self) -> Self {
        Self {
            connections: self.connections + more.connections,
            cpu_ns: self.cpu_ns + more.cpu_ns,
            user_ns: self.user_ns + more.user_ns,
            system_ns: self.system_ns + more.system_ns,
            wall_ns: self.wall_ns + more.wall_ns,
        }
    }

    /// CPU of one connection, ns.
    pub(in crate::bench) fn each_ns(&self) -> f64 {
        number(self.cpu_ns) / number(self.connections)
    }
}

/// What one thread connects to, and how often it has.
#[derive(Debug)]
pub(super) struct Lane {
    number: u8,
    listener: TcpListener,
    to: SocketAddrV4,
    made: u64,
}

/// Makes room for the TIME_WAIT of every pair of addresses, and listens.
pub(super) fn prepare(load: &Load, net: &Net) -> Result<Vec<Lane>> {
    let pairs = u64::from(load.threads) * PAIRS;
    net.set("tcp_max_tw_buckets", &(2 * pairs).to_string())?;
    // 2, the kernel's own default: over loopback.
    net.set("tcp_tw_reuse", "2")?;
    let lane = |number| {
        let number = u8::try_from(number).context("too many threads")?;
        ensure!(number < 250, "too many threads");
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, FIRST_SERVER_PORT + u16::from(number));
        Ok(Lane {
            number,
            listener: TcpListener::bind(to)?,
            to,
            made: 0,
        })
    };
    (0..load.threads).map(lane).collect()
}

/// Makes so many connections, fewer if the time is over.
pub(super) fn run(lanes: &mut [Lane], connections: u64, seconds: u64) -> Result<Made> {
    let before = Usage::of_this_process()?;
    let start = now();
    let end = start + Duration::from_secs(seconds);
    let share = connections.div_ceil(lanes.len() as u64);
    let connections = thread::scope(|scope| {
        let running: Vec<_> = lanes
            .iter_mut()
            .map(|lane| scope.spawn(move || lane.run(share, end)))
            .collect();
        let made = running.into_iter().map(|lane| match lane.join() {
            Ok(made) => made,
            Err(_panic) => bail!("a thread of the load panicked"),
        });
        made.sum::<Result<u64>>()
    })?;
    let wall = start.elapsed();
    let after = Usage::of_this_process()?;
    Ok(Made {
        connections,
        cpu_ns: nanoseconds(after.cpu.saturating_sub(before.cpu))?,
        user_ns: nanoseconds(after.user.saturating_sub(before.user))?,
        system_ns: nanoseconds(after.system.saturating_sub(before.system))?,
        wall_ns: nanoseconds(wall)?,
    })
}

impl Lane {
    /// Gives how many it made.
    fn run(&mut self, share: u64, end: Instant) -> Result<u64> {
        for made in 0..share {
            if made.is_multiple_of(CLOCK) && now() >= end {
                return Ok(made);
            }
            self.one(u32::try_from(self.made % PAIRS)?)?;
            self.made += 1;
        }
        Ok(share)
    }

    /// Opens one, closes one side, sees the end on the other, closes that. Every second one is
    /// closed by the server first; PAIRS is even, so that a pair of addresses always has the same
    /// order.
    fn one(&self, pair: u32) -> Result<()> {
        let address = Ipv4Addr::new(127, 1 + self.number, 0, u8::try_from(1 + pair / PORTS)?);
        let port = u16::try_from(FIRST_CLIENT_PORT + pair % PORTS)?;
        let client = connect(SocketAddrV4::new(address, port), self.to)?;
        let (server, _) = self.listener.accept()?;
        let (first, mut second) = if pair.is_multiple_of(2) {
            (client, server)
        } else {
            (server, client)
        };
        drop(first);
        ensure!(
            second.read(&mut [0])? == 0,
            "data came though none was sent"
        );
        Ok(())
    }
}

/// What this process has used so far.
struct Usage {
    cpu: Duration,
    user: Duration,
    system: Duration,
}

impl Usage {
    fn of_this_process() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            cpu: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into(),
            user: duration(usage.user_time())?,
            system: duration(usage.system_time())?,
        })
    }
}

fn duration(time: TimeVal) -> Result<Duration> {
    let whole = Duration::from_secs(u64::try_from(time.tv_sec())?);
    Ok(whole + Duration::from_micros(u64::try_from(time.tv_usec())?))
}

fn nanoseconds(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}

/// A connection from an address and port of its own, which may have one in TIME_WAIT.
pub(super) fn connect(from: SocketAddrV4, to: SocketAddrV4) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket
        .bind(&SockAddr::from(from))
        .with_context(|| format!("cannot bind {from}"))?;
    socket
        .connect(&SockAddr::from(to))
        .with_context(|| format!("cannot connect {from} to {to}"))?;
    Ok(socket.into())
}
