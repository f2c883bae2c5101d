//! Connections that end in random ways, and a note of each.
//!
//! Takes a seed; gives a [`Ledger`]. Some lanes, a thread each, keep some connections open and
//! end a random one in a random way. No pair of addresses comes twice: each connection has a
//! client address and port of its own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Socket, Type};

use super::kinds::{KINDS, Kind, be_reset};
use crate::scenario::clock::{now, wait_for};
use crate::scenario::net::VOID;
use crate::scenario::pair::close;
use crate::scenario::raw;

const ADDRESSES_PER_LANE: usize = 4;
const FIRST_PORT: u16 = 20_000;
const PORTS: usize = 40_000;
/// Connections that the addresses of one lane suffice for.
const MOST: usize = ADDRESSES_PER_LANE * PORTS;
/// Their addresses stay within 127.0.0.0/24, and their listeners' ports apart.
pub(super) const MOST_LANES: usize = 32;

const PORT: u16 = 5000;
const CLOSED_PORT: u16 = 1;
const QUEUE_PORT: u16 = 6000;
/// Connections that a lane keeps open.
const OPEN: usize = 32;
/// The most connections that one listener leaves in its queue.
const MOST_QUEUED: u64 = 8;
const CEILING: Duration = Duration::from_mins(10);

/// How both ends of a connection ended; `None`: this host had no such end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deal {
    pub(super) client: Option<&'static str>,
    pub(super) server: Option<&'static str>,
}

/// Every connection that was made, by the client's address.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) deals: BTreeMap<SocketAddr, Deal>,
    /// How many were ended in each way.
    pub(super) kinds: BTreeMap<String, u64>,
}

/// Whether this address is a client's.
pub(super) fn is_client(address: SocketAddr) -> bool {
    address.port() >= FIRST_PORT
}

/// Makes so many connections in the calling thread's namespace.
pub(super) fn run(connections: usize, lanes: usize, seed: u64) -> Result<Ledger> {
    let most = lanes * MOST;
    ensure!(
        connections <= most,
        "at most {most} connections on {lanes} lanes"
    );
    let start = now();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|number| {
                let share = connections / lanes + usize::from(number < connections % lanes);
                scope.spawn(move || Lane::new(number, seed, start)?.run(share))
            })
            .collect();
        let mut ledger = Ledger::default();
        for lane in lanes {
            let Ok(done) = lane.join() else {
                bail!("a lane panicked")
            };
            let Ledger { deals, kinds } = done?;
            ledger.deals.extend(deals);
            for (kind, count) in kinds {
                *ledger.kinds.entry(kind).or_default() += count;
            }
        }
        Ok(ledger)
    })
}

struct Lane {
    number: usize,
    random: Random,
    start: Instant,
    listeners: Vec<(TcpListener, SocketAddrV4)>,
    made: usize,
    open: Vec<(SocketAddr, TcpStream, TcpStream)>,
    ledger: Ledger,
}

impl Lane {
    fn new(number: usize, seed: u64, start: Instant) -> Result<Self> {
        let mut listeners = Vec::new();
        for address in 0..ADDRESSES_PER_LANE {
            let last = u8::try_from(2 + number * ADDRESSES_PER_LANE + address)?;
            let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), PORT);
            listeners.push((TcpListener::bind(at)?, at));
        }
        Ok(Self {
            number,
            random: Random(seed ^ (number as u64) << 32),
            start,
            listeners,
            made: 0,
            open: Vec::with_capacity(OPEN),
            ledger: Ledger::default(),
        })
    }

    fn run(mut self, share: usize) -> Result<Ledger> {
        while self.made < share {
            ensure!(self.start.elapsed() < CEILING, "the load takes too long");
            match self.random.below(16) {
                0 => self.refused()?,
                1 => self.given_up()?,
                2 => self.left_in_queue(share - self.made)?,
                _ => self.open()?,
            }
            while self.open.len() >= OPEN || (!self.open.is_empty() && self.random.below(2) == 0) {
                self.end_one()?;
            }
        }
        while !self.open.is_empty() {
            self.end_one()?;
        }
        Ok(self.ledger)
    }

    /// A client socket at an address that no connection had.
    fn client(&mut self) -> Result<(Socket, SocketAddr, SocketAddrV4)> {
        let index = self.made % ADDRESSES_PER_LANE;
        let (_, at) = self.listeners.get(index).context("no listener")?;
        let port = FIRST_PORT + u16::try_from(self.made / ADDRESSES_PER_LANE)?;
        let local = SocketAddr::from((*at.ip(), port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&local.into())?;
        self.made += 1;
        Ok((socket, local, *at))
    }

    fn note(&mut self, kind: &str, local: SocketAddr, deal: Deal) {
        self.ledger.deals.insert(local, deal);
        *self.ledger.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    fn open(&mut self) -> Result<()> {
        let (client, local, at) = self.client()?;
        let connected = client.connect(&SocketAddr::V4(at).into());
        connected.with_context(|| format!("cannot connect {local} to {at}"))?;
        let listener = self.listeners.iter().find(|(_, its)| *its == at);
        let (server, peer) = listener.context("no listener")?.0.accept()?;
        ensure!(peer == local, "accepted {peer} in place of {local}");
        self.open.push((local, client.into(), server));
        Ok(())
    }

    fn end_one(&mut self) -> Result<()> {
        let index = self.random.below(self.open.len() as u64);
        let (local, client, server) = self.open.swap_remove(usize::try_from(index)?);
        let kind: &Kind = KINDS
            .get(usize::try_from(self.random.below(KINDS.len() as u64))?)
            .context("no such kind")?;
        let by_client = self.random.below(2) == 0;
        let (actor, other) = if by_client {
            (client, server)
        } else {
            (server, client)
        };
        (kind.end)(actor, other).with_context(|| format!("{} of {local}", kind.name))?;
        let (client, server, who) = if by_client {
            (kind.actor, kind.other, "client")
        } else {
            (kind.other, kind.actor, "server")
        };
        let deal = Deal {
            client: Some(client),
            server: Some(server),
        };
        self.note(&format!("{}, by the {who}", kind.name), local, deal);
        Ok(())
    }

    fn refused(&mut self) -> Result<()> {
        let (client, local, at) = self.client()?;
        let to = SocketAddr::from((*at.ip(), CLOSED_PORT));
        let answer = client.connect(&to.into());
        let errno = answer.err().and_then(|error| error.raw_os_error());
        ensure!(errno == Some(libc::ECONNREFUSED), "not refused: {errno:?}");
        let deal = Deal {
            client: Some("connect_refused"),
            server: None,
        };
        self.note("refused", local, deal);
        Ok(())
    }

    fn given_up(&mut self) -> Result<()> {
        let (client, local, _) = self.client()?;
        client.set_nonblocking(true)?;
        let answer = client.connect(&SocketAddr::from((VOID, 7000)).into());
        let errno = answer.err().and_then(|error| error.raw_os_error());
        ensure!(errno == Some(libc::EINPROGRESS), "not tried: {errno:?}");
        close(client);
        let deal = Deal {
            client: Some("never_established"),
            server: None,
        };
        self.note("connect given up", local, deal);
        Ok(())
    }

    /// A listener closes with connections that nobody accepted.
    fn left_in_queue(&mut self, most: usize) -> Result<()> {
        let count = usize::try_from(1 + self.random.below(MOST_QUEUED))?.min(most);
        let address = self.listeners.first().context("no listener")?.1;
        let port = QUEUE_PORT + u16::try_from(self.number)?;
        let to = SocketAddr::from((*address.ip(), port));
        let listener = TcpListener::bind(to)?;
        let mut clients = Vec::new();
        for _ in 0..count {
            let (client, local, _) = self.client()?;
            client.connect(&to.into())?;
            clients.push((TcpStream::from(client), local));
        }
        wait_for("the queue", CEILING / 60, || {
            Ok((raw::queued(&listener)? as usize == count).then_some(()))
        })?;
        close(listener);
        for (client, local) in clients {
            be_reset(&client)?;
            let deal = Deal {
                client: Some("peer_reset"),
                server: Some("reset_listener_closed"),
            };
            self.note("left in the queue", local, deal);
        }
        Ok(())
    }
}

/// A sequence of numbers that only the seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
