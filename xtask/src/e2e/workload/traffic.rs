//! What a host does all day: three services with a client each, and now and then a connection
//! that ends badly.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use super::Until;
use crate::scenario::clock::CEILING;
use crate::scenario::net::Net;
use crate::scenario::pair::{close, finish, linger_zero, read_end, send};
use crate::served::program::Program;

/// Port, who serves and who asks: names of threads, of which the kernel tells.
const SERVICES: [(u16, &str, &str); 3] = [
    (8080, "shop-api", "web"),
    (5432, "postgres", "worker"),
    (6379, "redis", "session"),
];

const PAUSE: Duration = Duration::from_millis(100);
const MOST_ROUNDS: u32 = 40_000;
/// Nobody listens there.
const CLOSED: u16 = 9;

/// How a connection ends; its first byte tells the server.
#[derive(Clone, Copy, Debug)]
enum Way {
    ClientFirst = 1,
    ServerFirst,
    HalfClose,
    Unread,
    Aborted,
    Stop,
}

impl Way {
    /// One in ten is reset: too few for a storm.
    const fn of(round: u32) -> Self {
        match round % 20 {
            3 | 9 | 14 => Self::ServerFirst,
            5 => Self::HalfClose,
            7 => Self::Unread,
            17 => Self::Aborted,
            _ => Self::ClientFirst,
        }
    }
}

/// A network namespace, which the agent audits.
#[derive(Debug)]
pub(in crate::e2e) struct Shop {
    net: Net,
    _resident: Program,
}

impl Shop {
    /// Makes it, and a link to it with a name that can be read.
    pub(in crate::e2e) fn make(link: &Path) -> Result<Self> {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                let net = Net::enter_plain()?;
                symlink(net.path(), link)?;
                Ok(Self {
                    net,
                    _resident: Program::resident()?,
                })
            });
            let panicked = |_| Err(anyhow!("the thread panicked"));
            running.join().unwrap_or_else(panicked)
        })
    }
}

pub(super) fn run(_: &Net, until: &Until) -> Result<()> {
    // The threads of this one are there too.
    setns(until.shop.net.file()?, CloneFlags::CLONE_NEWNET)?;
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (port, server, client) in SERVICES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            let at = listener.local_addr()?;
            let named = |name: &str| thread::Builder::new().name(name.to_owned());
            running.push(named(server).spawn_scoped(scope, move || serve(&listener))?);
            running.push(named(client).spawn_scoped(scope, move || ask_all(at, until))?);
        }
        let panicked = |_| Err(anyhow!("a service panicked"));
        let mut done = running
            .into_iter()
            .map(|it| it.join().unwrap_or_else(panicked));
        done.try_for_each(|it| it)
    })
}

/// The server is told to stop even if the client fails.
fn ask_all(at: SocketAddr, until: &Until) -> Result<()> {
    let mut outcome = Ok(());
    for round in 0..MOST_ROUNDS {
        outcome = ask(at, Way::of(round));
        if round % 50 == 25 {
            outcome = outcome.and_then(|()| be_refused());
        }
        if outcome.is_err() || !until.goes_on(PAUSE) {
            break;
        }
    }
    let stopped = ask(at, Way::Stop);
    outcome.and(stopped)
}

fn be_refused() -> Result<()> {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, CLOSED)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => bail!("expected to be refused, got {other:?}"),
    }
}

fn ask(at: SocketAddr, way: Way) -> Result<()> {
    let client = TcpStream::connect(at)?;
    client.set_read_timeout(Some(CEILING))?;
    send(&client, &[way as u8, b'?'])?;
    match way {
        Way::ServerFirst => read_end(&client)?,
        Way::HalfClose => {
            finish(&client)?;
            (&client).read_exact(&mut [0])?;
            read_end(&client)?;
        }
        // The reset is what it gets.
        Way::Unread | Way::Aborted => drop((&client).read(&mut [0])),
        Way::ClientFirst | Way::Stop => {}
    }
    close(client);
    Ok(())
}

fn serve(listener: &TcpListener) -> Result<()> {
    loop {
        let (server, _) = listener.accept()?;
        server.set_read_timeout(Some(CEILING))?;
        let mut way = [0];
        (&server).read_exact(&mut way).context("no request")?;
        let [way] = way;
        let is = |it: Way| way == it as u8;
        if is(Way::Unread) {
            close(server);
            continue;
        }
        (&server).read_exact(&mut [0])?;
        if is(Way::Aborted) {
            linger_zero(&server)?;
        } else if is(Way::HalfClose) {
            read_end(&server)?;
            send(&server, b"!")?;
        } else if !is(Way::ServerFirst) {
            read_end(&server)?;
        }
        close(server);
        if is(Way::Stop) {
            return Ok(());
        }
    }
}
