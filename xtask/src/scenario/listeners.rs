//! A listener closes with a connection in its accept queue.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::closes::client_first;
use super::net::{Net, State};
use super::owners::Owner;
use super::pair::{Pair, close, finish, linger_zero, send, wait_error};
use super::truth::{Closer, End, canonical};

const ONE_RESET: &[(&str, i64)] = &[("EstabResets", 2), ("OutRsts", 1), ("TCPAbortOnData", 0)];

const ONE_RESET_ON_DATA: &[(&str, i64)] =
    &[("EstabResets", 2), ("OutRsts", 1), ("TCPAbortOnData", 1)];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("listener_closed", "one child waits", listener_closed).counters(ONE_RESET),
    Scenario::new(
        "listener_closed_ipv6",
        "the same over ::1",
        listener_closed_ipv6,
    )
    .counters(ONE_RESET),
    Scenario::new(
        "listener_closed_unread",
        "a child with 5 bytes waits",
        listener_closed_unread,
    )
    .counters(ONE_RESET),
    Scenario::new(
        "listener_closed_after_fin",
        "a child whose peer has sent its FIN waits",
        listener_closed_after_fin,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "listener_closed_three",
        "three children wait",
        listener_closed_three,
    )
    .counters(&[("EstabResets", 6), ("OutRsts", 3)]),
    Scenario::new(
        "queued_child_reset",
        "the peer of a child resets it while it waits",
        queued_child_reset,
    )
    .counters(ONE_RESET_ON_DATA),
    Scenario::new(
        "listener_killed",
        "the process that listens is killed",
        listener_killed,
    )
    .counters(ONE_RESET),
    Scenario::new(
        "listener_closed_sibling",
        "a sibling with SO_REUSEPORT does not take the child over",
        listener_closed_sibling,
    )
    .counters(ONE_RESET),
    Scenario::new(
        "listener_migrates",
        "a sibling with SO_REUSEPORT takes the child over, which ends in order",
        listener_migrates,
    )
    .counters(&[("EstabResets", 0), ("OutRsts", 0)])
    .unless(cannot_migrate),
];

/// A listener and a client that it has not accepted.
struct Queue {
    listener: TcpListener,
    client: TcpStream,
    client_at: SocketAddr,
    server_at: SocketAddr,
}

impl Queue {
    fn new(net: &Net, ip: IpAddr) -> Result<Self> {
        Self::of(net, TcpListener::bind((ip, 0))?)
    }

    fn of(net: &Net, listener: TcpListener) -> Result<Self> {
        let server_at = canonical(listener.local_addr()?);
        let client = TcpStream::connect(server_at)?;
        let client_at = canonical(client.local_addr()?);
        // Before the last ACK has come there is only a request.
        net.wait_state(server_at, client_at, State::Established)?;
        Ok(Self {
            listener,
            client,
            client_at,
            server_at,
        })
    }

    fn client_end(&self, ending: &'static str) -> End {
        End::client(self.client_at, self.server_at, ending)
    }

    fn child_end(&self) -> End {
        End::server(self.server_at, self.client_at, "reset_listener_closed")
    }

    fn ends(&self) -> Vec<End> {
        vec![
            self.client_end("peer_reset"),
            self.child_end().closed_here(Closer::Nobody),
        ]
    }
}

fn listener_closed(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let ends = queue.ends();
    close(queue.listener);
    wait_error(&queue.client, libc::ECONNRESET)?;
    Ok(ends)
}

/// What the listener closes afterwards is over.
fn queued_child_reset(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let ends = vec![
        queue
            .client_end("reset_linger_zero")
            .closed_here(Closer::Close),
        End::server(queue.server_at, queue.client_at, "peer_reset"),
    ];
    linger_zero(&queue.client)?;
    close(queue.client);
    net.wait_gone(queue.server_at, queue.client_at)?;
    close(queue.listener);
    Ok(ends)
}

fn listener_closed_ipv6(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv6Addr::LOCALHOST.into())?;
    let ends = queue.ends();
    close(queue.listener);
    wait_error(&queue.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn listener_closed_unread(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let ends = vec![
        queue.client_end("peer_reset"),
        queue.child_end().closed_here(Closer::Nobody).left(5, 0, 0),
    ];
    send(&queue.client, b"12345")?;
    net.wait_unread(queue.server_at, queue.client_at, 5)?;
    close(queue.listener);
    wait_error(&queue.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn listener_closed_after_fin(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let ends = vec![
        queue
            .client_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
        queue
            .child_end()
            .closed_here(Closer::Nobody)
            .initiator("peer"),
    ];
    finish(&queue.client)?;
    net.wait_state(queue.server_at, queue.client_at, State::CloseWait)?;
    net.wait_state(queue.client_at, queue.server_at, State::FinWait2)?;
    close(queue.listener);
    wait_error(&queue.client, libc::ECONNRESET)?;
    Ok(ends)
}

fn listener_closed_three(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let mut ends = queue.ends();
    let mut clients = vec![queue.client];
    for _more in 0..2 {
        let client = TcpStream::connect(queue.server_at)?;
        let client_at = client.local_addr()?;
        net.wait_state(queue.server_at, client_at, State::Established)?;
        ends.push(End::client(client_at, queue.server_at, "peer_reset"));
        let child = End::server(queue.server_at, client_at, "reset_listener_closed");
        ends.push(child.closed_here(Closer::Nobody));
        clients.push(client);
    }
    close(queue.listener);
    for client in clients {
        wait_error(&client, libc::ECONNRESET)?;
    }
    Ok(ends)
}

fn listener_killed(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::new(net, Ipv4Addr::LOCALHOST.into())?;
    let (client_end, child_end) = (queue.client_end("peer_reset"), queue.child_end());
    // It never reads its standard input.
    let mut owner = Owner::running(Command::new("sleep").arg("60"), queue.listener.into())?;
    let child_end = owner.end(child_end);
    let child_end = End {
        closer: Closer::Nobody,
        ..child_end
    };
    owner.child.kill()?;
    owner.child.wait()?;
    wait_error(&queue.client, libc::ECONNRESET)?;
    Ok(vec![client_end, child_end])
}

fn listener_closed_sibling(net: &Net) -> Result<Vec<End>> {
    let queue = Queue::of(net, sharing(0)?)?;
    let sibling = sharing(queue.server_at.port())?;
    let ends = queue.ends();
    close(queue.listener);
    wait_error(&queue.client, libc::ECONNRESET)?;
    close(sibling);
    Ok(ends)
}

/// The knob alone proves nothing: 5.10.262 has it without the function.
fn cannot_migrate() -> Option<String> {
    let function = "reuseport_migrate_sock";
    // Without BTF no agent starts, and every case fails for that.
    let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    let there = btf
        .windows(function.len())
        .any(|bytes| bytes == function.as_bytes());
    (!there).then(|| format!("this kernel has no {function}"))
}

fn listener_migrates(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_migrate_req", "1")?;
    let queue = Queue::of(net, sharing(0)?)?;
    let sibling = sharing(queue.server_at.port())?;
    close(queue.listener);
    sibling.set_nonblocking(true)?;
    let server = wait_for("the child to migrate", CEILING, || match sibling.accept() {
        Ok((server, _)) => Ok(Some(server)),
        Err(nobody) if nobody.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    })?;
    server.set_nonblocking(false)?;
    server.set_read_timeout(Some(CEILING))?;
    close(sibling);
    client_first(
        net,
        Pair {
            client: queue.client,
            server,
            client_at: queue.client_at,
            server_at: queue.server_at,
        },
    )
}

/// A listener on 127.0.0.1 that shares its port.
fn sharing(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(8)?;
    Ok(socket.into())
}
