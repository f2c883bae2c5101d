//! Very many sockets in one namespace: CLOSE_WAIT that stay, TIME_WAIT that pass.
//!
//! Takes how many; gives a [`Crowd`] on a thread and in a namespace of its own, which is gone
//! when it is dropped. Never gives the same pair of addresses to two connections.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle, ScopedJoinHandle};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::sys::resource::{Resource, getrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::scenario::net::Net;
use crate::served::program::Program;
use crate::served::python;

const PORT: u16 = 5000;
/// Addresses of the server whose connections are over, 127.0.0.2 and up.
const ADDRESSES: u8 = 8;
const FIRST_CLIENT_PORT: usize = 10_000;
/// All client ports are such as the kernel gives, and the server's is not.
const CLIENT_PORTS: &str = "10000 60999";
/// Descriptors that a holder needs beside its connections.
const BESIDE: usize = 200;
/// Connections made in turn with each holder.
const AT_ONCE: usize = 1000;

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// So many more whose peer has closed.
    CloseWait(usize),
    /// So many more that are over but for their TIME_WAIT.
    TimeWait(usize),
    /// Close all.
    Release,
    /// Only count.
    Count,
}

/// What the kernel counts of the namespace (`/proc/net/sockstat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Full sockets, listeners among them.
    pub(crate) in_use: u64,
    /// Minisocks.
    pub(crate) minisocks: u64,
}

/// The sockets, and the thread that has them.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// `None` once no order will come.
    orders: Option<Sender<Order>>,
    done: Receiver<Result<Counted>>,
    thread: Option<JoinHandle<()>>,
    /// Inode number of the namespace.
    pub(crate) netns: u64,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new() -> Result<Self> {
        let (orders, receive) = mpsc::channel();
        let (send, done) = mpsc::channel();
        let (send_netns, netns) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || {
                let mut place = match Place::new() {
                    Ok(place) => place,
                    // Nobody listens if the other side has failed already.
                    Err(error) => {
                        drop(send.send(Err(error)));
                        return;
                    }
                };
                send_netns.send(place.net.inode).unwrap_or_default();
                for order in receive {
                    drop(send.send(place.obey(order)));
                }
            })?;
        match netns.recv() {
            Ok(netns) => Ok(Self {
                orders: Some(orders),
                done,
                thread: Some(thread),
                netns,
            }),
            Err(_) => Err(done.recv()?.err().context("the crowd did not come")?),
        }
    }

    /// So many more connections whose client has closed and whose server does not.
    pub(crate) fn close_wait(&self, count: usize) -> Result<Counted> {
        self.order(Order::CloseWait(count))
    }

    /// So many more connections that the client closed first and the server then.
    pub(crate) fn time_wait(&self, count: usize) -> Result<Counted> {
        self.order(Order::TimeWait(count))
    }

    /// The servers close.
    pub(crate) fn release(&self) -> Result<Counted> {
        self.order(Order::Release)
    }

    /// What the kernel counts.
    pub(crate) fn count(&self) -> Result<Counted> {
        self.order(Order::Count)
    }

    fn order(&self, order: Order) -> Result<Counted> {
        let gone = |_| anyhow!("the thread of the crowd is gone");
        let orders = self.orders.as_ref();
        let orders = orders.context("the thread of the crowd is gone")?;
        orders.send(order).map_err(gone)?;
        self.done
            .recv()
            .context("the thread of the crowd is gone")?
    }
}

impl Drop for Crowd {
    /// Waits for the thread, which ends its programs: they would outlive this process.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What only the thread has.
#[derive(Debug)]
struct Place {
    net: Net,
    listeners: Vec<(TcpListener, SocketAddrV4)>,
    /// Connections to them so far, of each lane.
    made: usize,
    /// Servers that do not close.
    holders: Vec<Program>,
    /// A census finds a namespace by its processes.
    _resident: Program,
}

impl Place {
    fn new() -> Result<Self> {
        let net = Net::enter_plain()?;
        net.set("tcp_max_tw_buckets", "1000000")?;
        net.set("ip_local_port_range", CLIENT_PORTS)?;
        // The clients' ends of CLOSE_WAIT are not what this is about.
        net.set("tcp_fin_timeout", "1")?;
        let listen = |last: u8| {
            let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), PORT);
            Ok((TcpListener::bind(at)?, at))
        };
        Ok(Self {
            net,
            listeners: (2..2 + ADDRESSES).map(listen).collect::<Result<_>>()?,
            made: 0,
            holders: Vec::new(),
            _resident: Program::resident()?,
        })
    }

    fn obey(&mut self, order: Order) -> Result<Counted> {
        match order {
            Order::CloseWait(count) => self.close_wait(count)?,
            Order::TimeWait(count) => self.time_wait(count)?,
            // Each is killed.
            Order::Release => self.holders.clear(),
            Order::Count => {}
        }
        counted()
    }

    /// Servers of one port at addresses of their own, as many as the limit of open files makes
    /// necessary.
    fn close_wait(&mut self, count: usize) -> Result<()> {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let each = usize::try_from(most)?.saturating_sub(BESIDE);
        let each = each.min(CLIENTS_OF_ONE);
        ensure!(each > 0, "a process may open only {most} files");
        let mut left = count;
        let mut wanted = Vec::new();
        for last in 1..=u8::MAX {
            let share = left.min(each);
            if share == 0 {
                break;
            }
            left -= share;
            let at = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, last), PORT);
            wanted.push((python::holds(at.into(), share)?, at, share));
        }
        ensure!(left == 0, "{left} sockets are too many for 255 processes");
        for from in (0..each).step_by(AT_ONCE) {
            for (_, at, share) in &wanted {
                for number in from..(from + AT_ONCE).min(*share) {
                    let client = connect(*at, number)?;
                    // The first data makes the kernel acknowledge at once, the FIN too, so that
                    // no timer has a part in this (`tcp_event_data_recv`).
                    client.send(b"x")?;
                    drop(client);
                }
            }
        }
        for (mut holder, ..) in wanted {
            holder.wait_said("held", 1)?;
            self.holders.push(holder);
        }
        Ok(())
    }

    /// On two threads, as TIME_WAIT lasts no longer than a minute.
    fn time_wait(&mut self, count: usize) -> Result<()> {
        const LANES: usize = 2;
        let addresses = usize::from(ADDRESSES) / LANES;
        let numbers = self.made..self.made + count / LANES;
        self.made = numbers.end;
        thread::scope(|scope| {
            let lanes = self.listeners.chunks(addresses);
            let lane = |listeners| {
                let numbers = numbers.clone();
                scope.spawn(move || Self::lane(listeners, numbers))
            };
            let running: Vec<_> = lanes.map(lane).collect();
            let panicked = |_| bail!("a lane panicked");
            let mut done = running.into_iter().map(ScopedJoinHandle::join);
            done.try_for_each(|done| done.unwrap_or_else(panicked))
        })
    }

    fn lane(listeners: &[(TcpListener, SocketAddrV4)], numbers: Range<usize>) -> Result<()> {
        for number in numbers {
            let which = listeners.get(number % listeners.len());
            let (listener, at) = which.context("there is one")?;
            let client = connect(*at, number / listeners.len())?;
            let (mut server, _) = listener.accept()?;
            drop(client);
            ensure!(server.read(&mut [0])? == 0, "data came");
        }
        Ok(())
    }
}

/// Clients of one server address.
const CLIENTS_OF_ONE: usize = 50_000;

/// The server's own address connects to it from a port of its own for each number.
fn connect(to: SocketAddrV4, number: usize) -> Result<Socket> {
    ensure!(number < CLIENTS_OF_ONE, "no port is left at {to}");
    let from = SocketAddrV4::new(*to.ip(), u16::try_from(FIRST_CLIENT_PORT + number)?);
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client
        .bind(&SockAddr::from(from))
        .with_context(|| format!("cannot bind {from}"))?;
    client
        .connect(&SockAddr::from(to))
        .with_context(|| format!("cannot connect {from} to {to}"))?;
    Ok(client)
}

/// `TCP: inuse 9 orphan 0 tw 3 alloc 12 mem 0`
fn counted() -> Result<Counted> {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "));
    let words: Vec<&str> = line.context("no TCP sockets")?.split(' ').collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    Ok(Counted {
        in_use: after("inuse").context("no inuse")?,
        minisocks: after("tw").context("no tw")?,
    })
}
