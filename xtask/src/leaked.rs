//! Leaks that are made on purpose, and what is true of them.
//!
//! Takes a network namespace that the calling thread is in; gives sockets in CLOSE_WAIT and
//! who holds them. Closing is dropping. Never judges.

use std::fmt::Debug;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::scenario::clock::{CEILING, now, wait_for};
use crate::scenario::net::{Net, State};
use crate::scenario::owners::Owner;
use crate::scenario::pair::{Pair, close, leave, read_end, send};

/// A way to leak.
#[derive(Clone, Copy, Debug)]
pub struct Leak {
    /// What the case is called.
    pub name: &'static str,
    by: fn(&Net) -> Result<Leaked>,
}

/// Sockets in CLOSE_WAIT.
#[derive(Debug)]
pub struct Leaked {
    /// Their ends.
    pub sockets: Vec<(SocketAddr, SocketAddr)>,
    /// Every process with its descriptors.
    pub holders: Vec<(u32, Vec<u32>)>,
    /// Bytes that were not read.
    pub unread: u64,
    /// How many were not read to the end of file.
    pub not_read_to_end: usize,
    /// Whether they were accepted, or connected.
    pub accepted: bool,
    /// The service's port here, or its address elsewhere.
    pub service: Service,
    /// The container that must be named.
    pub container: Option<String>,
    /// The unit that must be named.
    pub unit: Option<String>,
    /// Before the peer closed.
    pub since: Instant,
    /// When the first socket was in CLOSE_WAIT.
    pub until: Instant,
    alive: Vec<Box<dyn Debug + Send + Sync>>,
}

/// What leaked connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// They are served at this local port.
    Local(u16),
    /// This is their server.
    Remote(SocketAddr),
}

/// Every way.
pub const ALL: &[Leak] = &[
    leak("one_process", one_process),
    leak("one_process_ipv6", one_process_ipv6),
    leak("one_process_mapped", one_process_mapped),
    leak("client", client),
    leak("unread", unread),
    leak("not_accepted", not_accepted),
    leak("child_only", child_only),
    leak("two_processes", two_processes),
    leak("other_pid_namespace", other_pid_namespace),
    leak("container", container),
    leak("unit", unit),
    leak("many", many),
];

const fn leak(name: &'static str, by: fn(&Net) -> Result<Leaked>) -> Leak {
    Leak { name, by }
}

impl Leak {
    /// Makes it.
    pub fn make(&self, net: &Net) -> Result<Leaked> {
        (self.by)(net)
    }
}

impl Leaked {
    /// The process ends, and with it its hold of the sockets.
    pub fn end(self) {
        for it in self.alive {
            close(it);
        }
    }

    /// No socket is listed yet; no peer has closed before `since`, and one has by now.
    pub fn new(since: Instant, service: Service) -> Self {
        Self {
            sockets: Vec::new(),
            holders: Vec::new(),
            unread: 0,
            not_read_to_end: 0,
            accepted: true,
            service,
            container: None,
            unit: None,
            since,
            until: now(),
            alive: Vec::new(),
        }
    }

    fn keep(mut self, it: impl Debug + Send + Sync + 'static) -> Self {
        self.alive.push(Box::new(it));
        self
    }
}

/// A process that is killed with its sockets.
#[derive(Debug)]
pub(crate) struct Killed(pub(crate) process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One accepted connection that its client closed; the listener still listens. The server has
/// read all.
fn served(net: &Net, listen: IpAddr, connect: IpAddr) -> Result<(TcpStream, Leaked)> {
    let listener = TcpListener::bind((listen, 0))?;
    let port = listener.local_addr()?.port();
    let pair = Pair::through(&listener, SocketAddr::new(connect, port))?;
    let since = now();
    leave(pair.client)?;
    read_end(&pair.server)?;
    net.wait_state(pair.server_at, pair.client_at, State::CloseWait)?;
    let mut leaked = Leaked::new(since, Service::Local(port)).keep(listener);
    leaked.sockets.push((pair.server_at, pair.client_at));
    Ok((pair.server, leaked))
}

fn over_loopback(net: &Net) -> Result<(TcpStream, Leaked)> {
    served(net, Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
}

/// This process holds it.
fn held_here((socket, mut leaked): (TcpStream, Leaked)) -> Result<Leaked> {
    let fd = u32::try_from(socket.as_raw_fd())?;
    leaked.holders.push((process::id(), vec![fd]));
    Ok(leaked.keep(socket))
}

fn one_process(net: &Net) -> Result<Leaked> {
    held_here(over_loopback(net)?)
}

fn one_process_ipv6(net: &Net) -> Result<Leaked> {
    let localhost = Ipv6Addr::LOCALHOST.into();
    held_here(served(net, localhost, localhost)?)
}

fn one_process_mapped(net: &Net) -> Result<Leaked> {
    let every = Ipv6Addr::UNSPECIFIED.into();
    held_here(served(net, every, Ipv4Addr::LOCALHOST.into())?)
}

/// The server closed first; the client keeps the connection.
fn client(net: &Net) -> Result<Leaked> {
    let pair = Pair::new()?;
    let since = now();
    leave(pair.server)?;
    read_end(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    let mut leaked = Leaked::new(since, Service::Remote(pair.server_at));
    leaked.sockets.push((pair.client_at, pair.server_at));
    held_here((pair.client, leaked))
}

fn unread(net: &Net) -> Result<Leaked> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let pair = Pair::through(&listener, listener.local_addr()?)?;
    send(&pair.client, b"eleven bytes"[..11].as_ref())?;
    let since = now();
    leave(pair.client)?;
    net.wait_state(pair.server_at, pair.client_at, State::CloseWait)?;
    let service = Service::Local(pair.server_at.port());
    let mut leaked = Leaked::new(since, service).keep(listener);
    leaked.sockets.push((pair.server_at, pair.client_at));
    (leaked.unread, leaked.not_read_to_end) = (11, 1);
    held_here((pair.server, leaked))
}

/// Nobody calls accept().
fn not_accepted(net: &Net) -> Result<Leaked> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let client = TcpStream::connect(at)?;
    let client_at = client.local_addr()?;
    let since = now();
    leave(client)?;
    net.wait_state(at, client_at, State::CloseWait)?;
    let mut leaked = Leaked::new(since, Service::Local(at.port()));
    leaked.sockets.push((at, client_at));
    let fd = u32::try_from(listener.as_raw_fd())?;
    leaked.holders.push((process::id(), vec![fd]));
    (leaked.accepted, leaked.not_read_to_end) = (false, 1);
    Ok(leaked.keep(listener))
}

/// A child inherited it and its parent has closed it.
fn child_only(net: &Net) -> Result<Leaked> {
    held_by(net, Path::new("sleep"))
}

/// This program, which is given a time to wait, holds it and is called as its file is.
pub fn held_by(net: &Net, program: &Path) -> Result<Leaked> {
    let (socket, mut leaked) = over_loopback(net)?;
    let owner = Owner::running(Command::new(program).arg("600"), socket.into())?;
    leaked.holders.push((owner.child.id(), vec![0]));
    Ok(leaked.keep(Killed(owner.child)))
}

fn two_processes(net: &Net) -> Result<Leaked> {
    let (socket, leaked) = over_loopback(net)?;
    let again = OwnedFd::from(socket.try_clone()?);
    let owner = Owner::running(Command::new("sleep").arg("600"), again)?;
    let mut leaked = held_here((socket, leaked))?;
    leaked.holders.push((owner.child.id(), vec![0]));
    Ok(leaked.keep(Killed(owner.child)))
}

/// Its pid there is 1.
fn other_pid_namespace(net: &Net) -> Result<Leaked> {
    let (socket, mut leaked) = over_loopback(net)?;
    // What a thread unshares holds for the processes that it makes.
    let owner = thread::scope(|scope| {
        let running = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWPID).context("cannot unshare the pid namespace")?;
            Owner::running(Command::new("sleep").arg("600"), socket.into())
        });
        let panicked = |_| bail!("the thread panicked");
        running.join().unwrap_or_else(panicked)
    })?;
    leaked.holders.push((owner.child.id(), vec![0]));
    Ok(leaked.keep(Killed(owner.child)))
}

/// A cgroup that is gone with its last process.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes it, at a path below the root of cgroup v2.
    pub fn make(path: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mut lines = mounts.lines().map(|line| line.split(' '));
        let root = lines.find_map(|mut fields| {
            let path = fields.nth(1)?;
            (fields.next()? == "cgroup2").then_some(path)
        });
        let path = PathBuf::from(root.context("cgroup v2 is not mounted")?).join(path);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is in the file system.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn add(&self, pid: u32) -> Result<()> {
        let file = self.0.join("cgroup.procs");
        fs::write(&file, pid.to_string())
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

fn in_cgroup(net: &Net, path: &str) -> Result<Leaked> {
    let leaked = other_pid_namespace(net)?;
    let cgroup = Cgroup::make(path)?;
    for (pid, _) in &leaked.holders {
        cgroup.add(*pid)?;
        let file = format!("/proc/{pid}/cgroup");
        wait_for("the cgroup", CEILING, || {
            Ok(fs::read_to_string(&file)?.contains(path).then_some(()))
        })?;
    }
    Ok(leaked.keep(cgroup))
}

/// As Docker with systemd names it, in a pid namespace of its own.
fn container(net: &Net) -> Result<Leaked> {
    let id = format!(
        "{:064x}",
        u128::from(process::id()) << 64 | 0xc0ff_ee00_c0ff_ee00
    );
    let mut leaked = in_cgroup(net, &format!("docker-{id}.scope"))?;
    leaked.container = Some(id);
    Ok(leaked)
}

fn unit(net: &Net) -> Result<Leaked> {
    let unit = format!("leaky-{}.service", process::id());
    let mut leaked = in_cgroup(net, &unit)?;
    leaked.unit = Some(unit);
    Ok(leaked)
}

/// More than the report lists one by one.
fn many(net: &Net) -> Result<Leaked> {
    const COUNT: usize = 150;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let mut leaked = Leaked::new(now(), Service::Local(at.port()));
    let mut fds = Vec::new();
    for _ in 0..COUNT {
        let pair = Pair::through(&listener, at)?;
        leave(pair.client)?;
        read_end(&pair.server)?;
        if leaked.sockets.is_empty() {
            leaked.until = now();
        }
        leaked.sockets.push((pair.server_at, pair.client_at));
        fds.push(u32::try_from(pair.server.as_raw_fd())?);
        leaked = leaked.keep(pair.server);
    }
    let (local, peer) = *leaked.sockets.last().context("there are some")?;
    net.wait_state(local, peer, State::CloseWait)?;
    leaked.holders.push((process::id(), fds));
    Ok(leaked.keep(listener))
}
