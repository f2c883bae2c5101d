//! `connect(AF_UNSPEC)` dissolves a connection, and the same socket connects again.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::unistd::gettid;
use socket2::SockRef;

use super::Scenario;
use super::clock::{CEILING, wait_for};
use super::closes::client_first;
use super::net::{Net, State, VOID};
use super::pair::{Pair, close, finish, linger_zero, send, wait_error, wait_unread};
use super::peer::{Peer, start_connect};
use super::raw::disconnect;
use super::scripted::server_of;
use super::segment::ACK;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "disconnected_established",
        "connect(AF_UNSPEC), then the same socket connects again and closes in order",
        disconnected_established,
    )
    .counters(&[("ActiveOpens", 2), ("EstabResets", 2), ("OutRsts", 1)]),
    Scenario::new(
        "disconnected_with_bytes",
        "connect(AF_UNSPEC), with 5 bytes unread and 4 unacknowledged",
        disconnected_with_bytes,
    )
    .counters(&[("EstabResets", 1), ("OutRsts", 1)]),
    Scenario::new(
        "disconnected_close_wait",
        "connect(AF_UNSPEC) after the peer's FIN, and again, and SO_LINGER 0",
        disconnected_close_wait,
    )
    .counters(&[("ActiveOpens", 2), ("TCPAbortOnData", 1), ("OutRsts", 2)]),
    Scenario::new(
        "disconnected_fin_wait2",
        "shutdown(WR), connect(AF_UNSPEC), and again, and the peer resets",
        disconnected_fin_wait2,
    )
    .counters(&[("ActiveOpens", 2), ("TCPAbortOnData", 1), ("OutRsts", 2)]),
    Scenario::new(
        "disconnected_syn_sent",
        "connect(AF_UNSPEC) before the peer answers, then a connect that is answered",
        disconnected_syn_sent,
    )
    .counters(&[("ActiveOpens", 2), ("OutRsts", 0)]),
    Scenario::new(
        "disconnected_and_refused",
        "connect(AF_UNSPEC), and the second connect is refused",
        disconnected_and_refused,
    )
    .counters(&[("AttemptFails", 1), ("EstabResets", 2)])
    .beside(&[super::NO_SOCKET]),
    Scenario::new(
        "disconnect_under_a_reader",
        "connect(AF_UNSPEC) while another thread reads: older kernels refuse it, and close() follows",
        disconnect_under_a_reader,
    )
    .counters(&[("ActiveOpens", 1), ("EstabResets", 2), ("OutRsts", 1)]),
];

fn disconnected_established(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let mut ends = vec![
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Nobody),
        pair.server_end("peer_reset"),
    ];
    disconnect(&pair.client)?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    ends.extend(client_first(net, again(pair.client)?)?);
    Ok(ends)
}

/// `tcp_disconnect` forgets all of these counts.
fn disconnected_with_bytes(net: &Net) -> Result<Vec<End>> {
    let mut peer = Peer::new(net)?;
    let server = peer.connect(net)?;
    let end = server_of(&peer, "reset_disconnect")
        .closed_here(Closer::Nobody)
        .left(5, 0, 4);
    peer.send(ACK, b"12345")?;
    wait_unread(&server, 5)?;
    send(&server, b"1234")?;
    disconnect(&server)?;
    Ok(vec![end])
}

fn disconnected_close_wait(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let mut ends = vec![
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Nobody)
            .initiator("peer")
            .half_closed(None),
        pair.server_end("peer_reset_while_closing")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
    ];
    finish(&pair.server)?;
    net.wait_state(pair.client_at, pair.server_at, State::CloseWait)?;
    net.wait_state(pair.server_at, pair.client_at, State::FinWait2)?;
    disconnect(&pair.client)?;
    wait_error(&pair.server, libc::ECONNRESET)?;

    let second = again(pair.client)?;
    ends.push(
        second
            .client_end("reset_linger_zero")
            .closed_here(Closer::Close),
    );
    ends.push(second.server_end("peer_reset"));
    linger_zero(&second.client)?;
    close(second.client);
    wait_error(&second.server, libc::ECONNRESET)?;
    Ok(ends)
}

fn disconnected_fin_wait2(net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let mut ends = vec![
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Shutdown)
            .half_closed(None),
        pair.server_end("peer_reset_after_fin").half_closed(None),
    ];
    finish(&pair.client)?;
    net.wait_state(pair.client_at, pair.server_at, State::FinWait2)?;
    disconnect(&pair.client)?;
    wait_error(&pair.server, libc::EPIPE)?;

    // The first connection leaves ECONNRESET in the socket, and its second connect clears it.
    let second = again(pair.client)?;
    ends.push(second.client_end("peer_reset"));
    ends.push(
        second
            .server_end("reset_linger_zero")
            .closed_here(Closer::Close),
    );
    linger_zero(&second.server)?;
    close(second.server);
    net.wait_gone(second.client_at, second.server_at)?;
    Ok(ends)
}

fn disconnected_syn_sent(net: &Net) -> Result<Vec<End>> {
    let to = SocketAddr::from((VOID, 7000));
    let client = start_connect(to)?;
    let local = client.local_addr()?;
    net.wait_state(local, to, State::SynSent)?;
    // The kernel makes one call of tcp_disconnect of shutdown() and of connect(AF_UNSPEC), so
    // the truth that can be known leaves the closer out.
    let mut ends = vec![End::client(local, to, "never_established")];
    disconnect(&client)?;
    client.set_nonblocking(false)?;
    ends.extend(client_first(net, again(client)?)?);
    Ok(ends)
}

fn disconnected_and_refused(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let mut ends = vec![
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Nobody),
        pair.server_end("peer_reset"),
    ];
    disconnect(&pair.client)?;
    wait_error(&pair.server, libc::ECONNRESET)?;
    // Nobody listens there since the pair was made.
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = SockRef::from(&pair.client);
    socket.bind(&local.into())?;
    let local = pair.client.local_addr()?;
    let refused = socket.connect(&pair.server_at.into());
    anyhow::ensure!(
        refused.as_ref().map_err(std::io::Error::raw_os_error) == Err(Some(libc::ECONNREFUSED)),
        "expected ECONNREFUSED, got {refused:?}"
    );
    ends.push(End::client(local, pair.server_at, "connect_refused"));
    Ok(ends)
}

fn disconnect_under_a_reader(_net: &Net) -> Result<Vec<End>> {
    let pair = Pair::new()?;
    let server = pair.server_end("peer_reset");
    let reader = AtomicI32::new(0);
    let refused = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            reader.store(gettid().as_raw(), Ordering::Release);
            (&pair.client).read(&mut [0])
        });
        wait_for("a blocked reader", CEILING, || blocked(&reader))?;
        let answer = disconnect(&pair.client);
        if answer.is_err() {
            send(&pair.server, b"0123456789")?;
        }
        let read = reading.join().map_err(|_panic| anyhow!("it panicked"))?;
        match answer {
            Ok(()) => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                anyhow::ensure!(read? == 1, "the reader got nothing");
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    })?;
    let client = if refused {
        wait_unread(&pair.client, 9)?;
        let end = pair.client_end("reset_unread_data").left(9, 0, 0);
        close(pair.client);
        end.closed_here(Closer::Close)
    } else {
        pair.client_end("reset_disconnect")
            .closed_here(Closer::Nobody)
    };
    wait_error(&pair.server, libc::ECONNRESET)?;
    Ok(vec![client, server])
}

/// Whether that thread sleeps, once it is known.
fn blocked(thread: &AtomicI32) -> Result<Option<()>> {
    let id = thread.load(Ordering::Acquire);
    if id == 0 {
        return Ok(None);
    }
    let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat"))?;
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    Ok(after_name.filter(|rest| rest.starts_with('S')).map(drop))
}

/// The same client, connected to another server.
fn again(client: TcpStream) -> Result<Pair> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server_at = listener.local_addr()?;
    SockRef::from(&client)
        .connect(&server_at.into())
        .context("the socket cannot connect again")?;
    let (server, _) = listener.accept()?;
    server.set_read_timeout(Some(CEILING))?;
    Ok(Pair {
        client_at: client.local_addr()?,
        server_at,
        client,
        server,
    })
}
