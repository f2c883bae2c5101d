//! Two real sockets with a relay between them that holds segments back.
//!
//! Each end believes that its peer is an address which nobody has; the relay changes the
//! addresses and passes segments on when it is told to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::Result;
use socket2::SockRef;

use super::Scenario;
use super::clock::CEILING;
use super::net::{Net, State, VOID, VOID_BACK};
use super::pair::close;
use super::peer::{Tap, start_connect};
use super::segment::{FIN, SYN, Segment};
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::new(
    "simultaneous_both",
    "two real sockets, both FINs cross on the way",
    simultaneous_both,
)
.counters(&[
    ("ActiveOpens", 1),
    ("PassiveOpens", 1),
    ("EstabResets", 0),
    ("OutRsts", 0),
])];

/// One direction for each of the two real ends.
struct Relay {
    from_client: Tap,
    from_server: Tap,
    client: SocketAddr,
    server: SocketAddr,
    /// Where the client thinks that its peer is.
    client_sees: SocketAddr,
    /// Where the server thinks that its peer is.
    server_sees: SocketAddr,
}

impl Relay {
    fn connect(net: &Net) -> Result<(Self, TcpStream, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = listener.local_addr()?;
        let mut relay = Self {
            from_client: Tap::open(VOID.into())?,
            from_server: Tap::open(VOID.into())?,
            client: server,
            server,
            client_sees: SocketAddr::new(VOID.into(), server.port()),
            server_sees: SocketAddr::new(VOID_BACK.into(), server.port()),
        };
        let client_socket = start_connect(relay.client_sees)?;
        let client = client_socket.local_addr()?;
        relay.client = client;
        relay.server_sees.set_port(client.port());
        let syn = relay.next_of_client()?;
        relay.pass_to_server(&syn)?;
        let syn_ack = relay.next_of_server()?;
        relay.pass_to_client(&syn_ack)?;
        // A slow script finds the SYN that was sent again.
        let ack = loop {
            let next = relay.next_of_client()?;
            if next.flags & SYN == 0 {
                break next;
            }
        };
        relay.pass_to_server(&ack)?;
        SockRef::from(&listener).set_read_timeout(Some(CEILING))?;
        let (server_socket, _) = listener.accept()?;
        net.wait_state(client, relay.client_sees, State::Established)?;
        client_socket.set_nonblocking(false)?;
        Ok((relay, client_socket, server_socket))
    }

    fn next_of_client(&mut self) -> Result<Segment> {
        self.from_client.next_to(VOID.into())
    }

    fn next_of_server(&mut self) -> Result<Segment> {
        self.from_server.next_to(VOID_BACK.into())
    }

    fn pass_to_server(&self, segment: &Segment) -> Result<()> {
        let (from, to) = (self.server_sees, self.server);
        self.from_client.send(&Segment {
            from,
            to,
            ..segment.clone()
        })
    }

    fn pass_to_client(&self, segment: &Segment) -> Result<()> {
        let (from, to) = (self.client_sees, self.client);
        self.from_server.send(&Segment {
            from,
            to,
            ..segment.clone()
        })
    }
}

fn simultaneous_both(net: &Net) -> Result<Vec<End>> {
    let (mut relay, client, server) = Relay::connect(net)?;
    let client_ends = (relay.client, relay.client_sees);
    let server_ends = (relay.server, relay.server_sees);
    let ends = vec![
        End::client(client_ends.0, client_ends.1, "simultaneous_close").closed_here(Closer::Close),
        End::server(server_ends.0, server_ends.1, "simultaneous_close").closed_here(Closer::Close),
    ];
    close(client);
    close(server);
    let fin_of_client = next_fin(|| relay.next_of_client())?;
    let fin_of_server = next_fin(|| relay.next_of_server())?;
    relay.pass_to_server(&fin_of_client)?;
    relay.pass_to_client(&fin_of_server)?;
    net.wait_state(client_ends.0, client_ends.1, State::Closing)?;
    net.wait_state(server_ends.0, server_ends.1, State::Closing)?;

    // A FIN may have been sent again meanwhile; what follows it acknowledges the other's FIN.
    let ack_of_client = next_ack_of(&fin_of_server, || relay.next_of_client())?;
    let ack_of_server = next_ack_of(&fin_of_client, || relay.next_of_server())?;
    relay.pass_to_server(&ack_of_client)?;
    relay.pass_to_client(&ack_of_server)?;
    net.wait_minisock(client_ends.0, client_ends.1, State::TimeWait)?;
    net.wait_minisock(server_ends.0, server_ends.1, State::TimeWait)?;
    Ok(ends)
}

fn next_fin(mut next: impl FnMut() -> Result<Segment>) -> Result<Segment> {
    loop {
        let segment = next()?;
        if segment.flags & FIN != 0 {
            return Ok(segment);
        }
    }
}

fn next_ack_of(fin: &Segment, mut next: impl FnMut() -> Result<Segment>) -> Result<Segment> {
    loop {
        let segment = next()?;
        if segment.ack == fin.seq.wrapping_add(fin.length()) {
            return Ok(segment);
        }
    }
}
