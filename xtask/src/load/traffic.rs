//! Connections as fast as they come, and a note of each.
//!
//! Takes a namespace's thread; gives a [`Ledger`] of every connection made. Never opens more
//! than [`PER_LANE`] connections a lane, so that no pair of addresses comes twice.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use crate::scenario::net::Net;

/// Two lanes, one a core, of four addresses each.
pub(super) const LANES: usize = 2;
/// Connections of one lane.
pub(super) const PER_LANE: usize = 100_000;
const ADDRESSES_PER_LANE: usize = 4;
const PORT: u16 = 5000;
const FIRST_CLIENT_PORT: usize = 20_000;

/// What the traffic is to do next; told from outside while it runs.
pub(super) mod wish {
    /// Go on; what is opened now is seen from its birth by no agent, or only by some.
    pub(crate) const EARLY: u8 = 0;
    /// Go on; every agent sees what is opened from here on from its birth.
    pub(crate) const SEEN: u8 = 1;
    /// Open no more.
    pub(crate) const STOP: u8 = 2;
}

/// One connection that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether the client closed first.
    pub(super) client_first: bool,
    /// Whether it was opened after every agent was attached.
    pub(super) seen: bool,
}

/// Every connection that was made, by server address and client port.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Option<Entry>>);

/// Where traffic runs, and how much.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Connections kept open at once, a lane.
    pub(super) open: usize,
    /// What is wished.
    pub(super) wish: Arc<AtomicU8>,
}

impl Ledger {
    const SLOTS: usize = LANES * ADDRESSES_PER_LANE * 65_536;

    fn new() -> Self {
        Self(vec![None; Self::SLOTS])
    }

    /// The place of a connection between a server's and a client's address.
    pub(super) fn slot(server: SocketAddr, client: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(server) = server else {
            return None;
        };
        let address = usize::from(server.ip().octets()[3]).checked_sub(2)?;
        let slot = address * 65_536 + usize::from(client.port());
        (server.port() == PORT && slot < Self::SLOTS).then_some(slot)
    }

    /// The connection at a place.
    pub(super) fn get(&self, slot: usize) -> Option<Entry> {
        self.0.get(slot).copied().flatten()
    }

    /// All connections with their places.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, Entry)> {
        self.0
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((slot, (*entry)?)))
    }

    fn enter(&mut self, slot: usize, entry: Entry) -> Result<()> {
        let place = self
            .0
            .get_mut(slot)
            .context("a connection outside of the plan")?;
        if place.replace(entry).is_some() {
            bail!("the kernel gave the same pair of addresses to two connections");
        }
        Ok(())
    }
}

/// Makes room in this namespace for so many connections in `TIME_WAIT`.
pub(super) fn prepare(net: &Net) -> Result<()> {
    net.set("tcp_max_tw_buckets", "1000000")
}

/// Runs all lanes in the calling thread's namespace.
pub(super) fn drive(plan: &Plan) -> Result<Ledger> {
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || run_lane(lane, plan)))
            .collect();
        let mut ledger = Ledger::new();
        for lane in lanes {
            let Ok(entries) = lane.join() else {
                bail!("a lane panicked")
            };
            for (slot, entry) in entries? {
                ledger.enter(slot, entry)?;
            }
        }
        Ok(ledger)
    })
}

type Open = (TcpStream, TcpStream, bool);

fn run_lane(lane: usize, plan: &Plan) -> Result<Vec<(usize, Entry)>> {
    let mut listeners = Vec::new();
    for address in 0..ADDRESSES_PER_LANE {
        let last = u8::try_from(2 + lane * ADDRESSES_PER_LANE + address)?;
        let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), PORT);
        listeners.push((
            TcpListener::bind(at).with_context(|| format!("cannot listen on {at}"))?,
            at,
        ));
    }
    let mut entries = Vec::with_capacity(PER_LANE);
    let mut open: VecDeque<Open> = VecDeque::with_capacity(plan.open + 1);
    for (number, (listener, at)) in (0..PER_LANE).zip(listeners.iter().cycle()) {
        let wish = plan.wish.load(Ordering::Relaxed);
        if wish == wish::STOP {
            break;
        }
        // Left to itself the kernel soon gives the same pair of addresses again.
        let port = u16::try_from(FIRST_CLIENT_PORT + number / ADDRESSES_PER_LANE)?;
        let client = connect(SocketAddrV4::new(*at.ip(), port), *at)?;
        let (server, client_at) = listener.accept()?;
        // Each address gets both orders, as the addresses take turns too.
        let client_first = (number / ADDRESSES_PER_LANE).is_multiple_of(2);
        let slot = Ledger::slot(SocketAddr::V4(*at), client_at).context("an odd address")?;
        entries.push((
            slot,
            Entry {
                client_first,
                seen: wish == wish::SEEN,
            },
        ));
        open.push_back((client, server, client_first));
        if open.len() > plan.open {
            close_oldest(&mut open)?;
        }
    }
    while !open.is_empty() {
        close_oldest(&mut open)?;
    }
    Ok(entries)
}

fn connect(from: SocketAddrV4, to: SocketAddrV4) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket
        .bind(&SocketAddr::V4(from).into())
        .with_context(|| format!("cannot bind {from}"))?;
    socket
        .connect(&SocketAddr::V4(to).into())
        .with_context(|| format!("cannot connect {from} to {to}"))?;
    Ok(socket.into())
}

/// Closes one side, sees the end on the other, closes that.
fn close_oldest(open: &mut VecDeque<Open>) -> Result<()> {
    if let Some((client, server, client_first)) = open.pop_front() {
        let (first, mut second) = if client_first {
            (client, server)
        } else {
            (server, client)
        };
        drop(first);
        if second.read(&mut [0])? != 0 {
            bail!("data came though none was sent");
        }
    }
    Ok(())
}
