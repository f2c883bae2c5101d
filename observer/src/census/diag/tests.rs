//! Real sockets of this host, and bytes that no kernel sends.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::message::{AnswerError, Rest, read};
use super::{Detail, Seen, dump};
use crate::event::{Ends, State};

const CLOSING: [State; 6] = [
    State::FinWait1,
    State::FinWait2,
    State::Closing,
    State::LastAck,
    State::TimeWait,
    State::CloseWait,
];

fn seen(states: &[State], local: SocketAddr) -> Vec<Seen> {
    let mut all = Vec::new();
    dump(states, Detail::Inside, |seen| {
        if seen.ends.local == local {
            all.push(seen);
        }
    })
    .unwrap();
    all
}

/// A connection over loopback: the client's end and the server's.
fn connection(address: &str) -> (TcpStream, TcpStream, TcpListener) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server, listener)
}

/// Asks again until there is a socket in this state, for the FIN's way takes time.
fn wait_for(state: State, local: SocketAddr) -> Seen {
    for _ in 0..1000 {
        if let [it] = seen(&[state], local)[..] {
            return it;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no socket at {local} is in {}", state.name());
}

#[test]
fn a_listener_tells_how_many_wait() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let local = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(local).unwrap();
        let told = wait_for(State::Listen, local);
        assert_eq!((told.receive_queue, told.ends.peer.port()), (1, 0));
        assert!(told.inode != 0 && told.cookie != 0 && told.send_queue > 0);
        drop(waiting);
    }
}

#[test]
fn close_wait_tells_what_was_not_read_and_for_how_long_nothing_came() {
    let (mut client, server, _listener) = connection("127.0.0.1:0");
    client.write_all(b"last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let local = server.local_addr().unwrap();
    let told = wait_for(State::CloseWait, local);
    assert_eq!((told.unread(), told.has_read_to_end()), (10, false));
    assert_eq!(told.ends.peer, client.local_addr().unwrap());
    std::thread::sleep(Duration::from_millis(100));
    let least = wait_for(State::CloseWait, local).least_close_wait();
    assert!(least >= Some(Duration::from_millis(90)), "{least:?}");
    assert!(least < Some(Duration::from_mins(1)), "{least:?}");
    std::io::copy(&mut &server, &mut std::io::sink()).unwrap();
    let told = wait_for(State::CloseWait, local);
    assert_eq!((told.unread(), told.has_read_to_end()), (0, true));
}

#[test]
fn minisocks_tell_what_they_stand_for_and_when_they_end() {
    let (client, server, _listener) = connection("[::1]:0");
    let ends = Ends {
        local: client.local_addr().unwrap(),
        peer: client.peer_addr().unwrap(),
    };
    drop(client);
    let waiting = wait_for(State::FinWait2, ends.local);
    assert!(waiting.minisock.is_some());
    drop(server);
    let over = wait_for(State::TimeWait, ends.local);
    let remaining = over.minisock.unwrap().remaining;
    assert!(remaining <= Duration::from_secs(61) && remaining > Duration::from_secs(50));
    assert_eq!((over.inode, over.ends), (0, ends));
}

#[test]
fn a_state_that_was_not_asked_for_is_not_told() {
    let (client, _server, _listener) = connection("127.0.0.1:0");
    let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    // The port may be that of another connection, in TIME_WAIT with another peer.
    let told = |states| {
        seen(states, local)
            .iter()
            .filter(|it| it.ends.peer == peer)
            .count()
    };
    assert_eq!(told(&CLOSING), 0);
    assert_eq!(told(&[State::Established]), 1);
}

#[test]
fn what_is_cut_or_not_an_answer_is_refused_and_never_read_past() {
    let mut none = |_| panic!("no socket is in there");
    assert_eq!(read(&[], 1, &mut none), Ok(Rest::More));
    assert_eq!(read(&[1; 7], 1, &mut none), Err(AnswerError::Malformed(7)));
    let message = |len: u32, kind: u16, status: i32| {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(0_u16.to_ne_bytes());
        bytes.extend([1_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat());
        bytes.extend(status.to_ne_bytes());
        bytes
    };
    let too_long = read(&message(21, 3, 0), 1, &mut none);
    assert_eq!(too_long, Err(AnswerError::Malformed(20)));
    let too_short = read(&message(3, 3, 0), 1, &mut none);
    assert_eq!(too_short, Err(AnswerError::Malformed(20)));
    assert_eq!(read(&message(20, 3, 0), 1, &mut none), Ok(Rest::Nothing));
    assert_eq!(
        read(&message(20, 2, -2), 1, &mut none),
        Err(AnswerError::Refused(2))
    );
    assert_eq!(read(&message(20, 2, -2), 2, &mut none), Ok(Rest::More));
    let cut = read(&message(20, 20, 0), 1, &mut none);
    assert_eq!(cut, Err(AnswerError::Malformed(20)));
}
