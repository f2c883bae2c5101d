//! Clients that are slow, silent, many or large: they are let go, and others are answered.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::certificates::Folder;
use super::secured::as_user;
use super::{ANYWHERE, CONNECTIONS, REQUESTS, get, with_config, with_site};

/// Clients that read nothing.
const SLOW: usize = 12;

/// Lets the process have as many descriptors as it may.
pub(super) fn with_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}

/// A connection into which the kernel takes only some kilobytes that are not read.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    TcpStream::from(socket)
}

#[test]
fn who_reads_nothing_is_let_go_and_others_are_answered() {
    with_site(ANYWHERE, |address, _| {
        let of = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let asked = of("/metrics").repeat(100);
        let mut slow: Vec<_> = (0..SLOW)
            .map(|number| {
                // The buffers are full at another place in an answer for each of them, so that
                // some have more to come and keep their place.
                let asked = of("/-/healthy").repeat(16 * number) + &asked;
                let mut stream = narrow(address);
                stream.set_nonblocking(true).unwrap();
                // As much as the agent takes.
                drop(stream.write(asked.as_bytes()));
                stream
            })
            .collect();
        let busy = (0..300).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            get(address, "/metrics").starts_with("HTTP/1.1 503")
        });
        assert!(busy, "no place was taken by those who do not read");
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        std::thread::sleep(Duration::from_secs(3));
        let whole = 100 * get(address, "/metrics").len();
        for stream in &mut slow {
            stream.set_nonblocking(false).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            // What was sent is there still, and then the end or a reset.
            let mut rest = Vec::new();
            let ended = stream.read_to_end(&mut rest);
            let timed_out = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(
                !timed_out && rest.len() < whole / 2,
                "{} of {whole}",
                rest.len()
            );
        }
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn silent_clients_leave_room_for_others_up_to_the_bound() {
    with_site(ANYWHERE, |address, _| {
        let silent: Vec<_> = (1..CONNECTIONS)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        drop(silent);
    });
}

#[test]
fn headers_byte_by_byte_end_in_time_and_give_their_places_back() {
    with_site(ANYWHERE, |address, _| {
        let mut slow: Vec<_> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        // Each byte comes well within the time, all of them do not.
        let request = b"GET /metrics HTTP/1.1\r\nHost: slow\r\n";
        for byte in &request[..15] {
            for stream in &mut slow {
                drop(stream.write(&[*byte]));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        for mut stream in slow {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
    });
}

#[test]
fn a_header_of_ten_megabytes_is_refused() {
    with_site(ANYWHERE, |address, _| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut sent = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            sent = sent.and_then(|()| stream.write_all(&megabyte));
        }
        // The agent closes before it has read all.
        assert!(sent.is_err());
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"));
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_thousand_scrapes_at_once_are_each_answered_or_told_to_come_back() {
    const SCRAPES: usize = 1000;
    with_site(ANYWHERE, |address, _| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let answers = runtime.block_on(async {
            let scrapes: Vec<_> = (0..SCRAPES)
                .map(|_| tokio::spawn(scrape(address)))
                .collect();
            let mut answers = Vec::new();
            for scrape in scrapes {
                answers.push(scrape.await.unwrap());
            }
            answers
        });
        let whole = |text: &&String| text.contains("\ntcp_observer_build_info{");
        let served = answers.iter().filter(|it| it.starts_with("HTTP/1.1 200"));
        let served = served.filter(whole).count();
        let later = answers.iter().filter(|it| it.starts_with("HTTP/1.1 503"));
        let later = later.filter(|it| it.contains("--web.max-requests")).count();
        assert_eq!(served + later, SCRAPES);
        assert!(served >= REQUESTS, "{served}");
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
    });
}

async fn scrape(address: SocketAddr) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn passwords_that_are_tried_in_numbers_leave_connections_for_others() {
    let folder = Folder::new();
    // A check of this cost outlasts the start of all that ask for one.
    let hash = bcrypt::hash("right", 9).unwrap();
    let file = folder.write("web.yml", &format!("basic_auth_users: {{a: {hash}}}\n"));
    with_config(ANYWHERE, Some(&file), |address, _, _| {
        let ask = |number: usize| {
            let asked = as_user("/metrics", "a", &format!("wrong{number}"));
            let mut stream = TcpStream::connect(address).unwrap();
            let asked = asked.replace("Connection: close\r\n", "");
            stream.write_all(asked.as_bytes()).unwrap();
            stream
        };
        let streams: Vec<_> = (0..40).map(ask).collect();
        let ended = streams.into_iter().filter_map(|mut stream| {
            let wait = Some(Duration::from_millis(200));
            stream.set_read_timeout(wait).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok().map(|_| answer)
        });
        // Some had the turn meanwhile.
        let refused: Vec<_> = ended.filter(|it| !it.contains(" 401 ")).collect();
        assert!(!refused.is_empty());
        for answer in refused {
            for part in ["HTTP/1.1 503", "connection: close", "too many passwords"] {
                assert!(answer.contains(part), "{part:?} is not in {answer}");
            }
        }
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
    });
}
