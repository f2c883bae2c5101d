//! Serving by a web configuration: TLS, users, headers and rates, and what changes meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::version::{TLS12, TLS13};

use super::certificates::{Authority, Folder, Visitor};
use super::{ANYWHERE, ask, get, with_config};

/// TLS with `server.pem` and `server.key` beside the file.
pub(in crate::http) const TLS: &str =
    "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// Every path that is served, some that are not, and ways to write a health check otherwise.
const GUARDED: [&str; 15] = [
    "/",
    "/page/page.js",
    "/api/v1/endings",
    "/api/v1/ports",
    "/metrics",
    "/status",
    "/api/v1/findings",
    "/api/v1/connections",
    "/api/v1/time-wait",
    "/nothing",
    "/-/",
    "//-/healthy",
    "/-/healthy/../../metrics",
    "/-/healthy/",
    "/%2d/healthy",
];

pub(in crate::http) fn users(pairs: &[(&str, &str)]) -> String {
    let line = |(name, password): &(&str, &str)| {
        format!("  {name}: {}\n", bcrypt::hash(password, 4).unwrap())
    };
    let lines: String = pairs.iter().map(line).collect();
    format!("basic_auth_users:\n{lines}")
}

pub(super) fn as_user(path: &str, name: &str, password: &str) -> String {
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {encoded}\r\n\
         Connection: close\r\n\r\n"
    )
}

#[test]
fn without_credentials_every_path_but_health_is_answered_with_401() {
    let folder = Folder::new();
    let file = folder.write("web.yml", &users(&[("prometheus", "right")]));
    with_config(ANYWHERE, Some(&file), |address, _, _| {
        for path in GUARDED {
            for answer in [
                get(address, path),
                ask(address, &as_user(path, "prometheus", "wrong")),
                ask(address, &as_user(path, "nobody", "right")),
                ask(
                    address,
                    &as_user(path, "prometheus", "right").replace("Basic", "Bearer"),
                ),
            ] {
                assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
                assert!(
                    answer.contains("www-authenticate: Basic realm="),
                    "{answer}"
                );
                assert!(!answer.contains("tcp_observer_"), "{answer}");
            }
        }
        let post =
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert!(ask(address, post).starts_with("HTTP/1.1 401"));
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/-/ready").starts_with("HTTP/1.1 503"));
        let metrics = ask(address, &as_user("/metrics", "prometheus", "right"));
        assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("tcp_observer_"));
        assert!(ask(address, &as_user("/nothing", "prometheus", "right")).contains(" 404 "));
    });
}

#[test]
fn tls_and_users_go_together() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    let file = folder.write(
        "web.yml",
        &(TLS.to_owned() + &users(&[("prometheus", "right")])),
    );
    let visitor = Visitor::new(&authority);
    with_config(ANYWHERE, Some(&file), move |address, _, _| {
        let refused = visitor.get(address, "/metrics").unwrap();
        assert!(refused.text.starts_with("HTTP/1.1 401"), "{}", refused.text);
        let asked = as_user("/metrics", "prometheus", "right");
        let served = visitor.ask(address, &asked).unwrap();
        assert!(served.text.starts_with("HTTP/1.1 200"), "{}", served.text);
        assert!(visitor.is_served(address));
    });
}

#[test]
fn versions_outside_the_bounds_are_refused() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    for (bounds, served) in [
        ("", [true, true]),
        ("  min_version: TLS13\n", [false, true]),
        ("  max_version: TLS12\n", [true, false]),
    ] {
        let file = folder.write("web.yml", &format!("{TLS}{bounds}"));
        let visitor = Visitor::new(&authority);
        let found = with_config(ANYWHERE, Some(&file), move |address, _, _| {
            [&TLS12, &TLS13].map(|version| visitor.speaking(version).is_served(address))
        });
        assert_eq!(found, served, "{bounds:?}");
    }
}

#[test]
fn more_requests_than_the_rate_allows_are_told_so() {
    let folder = Folder::new();
    let file = folder.write("web.yml", "rate_limit: {interval: 1h, burst: 2}\n");
    with_config(ANYWHERE, Some(&file), |address, _, _| {
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 429"));
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn who_does_not_speak_tls_is_told_so_or_let_go_and_others_are_served() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    let file = folder.write("web.yml", TLS);
    let visitor = Visitor::new(&authority);
    with_config(ANYWHERE, Some(&file), move |address, _, _| {
        let told = get(address, "/metrics");
        assert!(told.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{told}");
        assert!(
            told.ends_with("Client sent an HTTP request to an HTTPS server.\n"),
            "{told}"
        );
        let silent = TcpStream::connect(address).unwrap();
        for garbage in [
            &b"\x00\x01\x02"[..],
            b"\x16\x03\x01\xff\xff",
            b"\xff\xff\xff\xff\xff\xff",
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(garbage).unwrap();
            assert!(visitor.is_served(address));
            assert_eq!(
                ended_within(stream, Duration::from_secs(10)),
                Some(()),
                "{garbage:?}"
            );
        }
        assert_eq!(ended_within(silent, Duration::from_secs(10)), Some(()));
        assert!(visitor.is_served(address));
    });
}

/// Reads what comes; `None` if it does not end in time.
fn ended_within(mut stream: TcpStream, time: Duration) -> Option<()> {
    stream.set_read_timeout(Some(time)).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        Ok(_) | Err(_) => Some(()),
    }
}

#[test]
fn a_wrong_file_is_refused_at_the_start_with_its_name() {
    let folder = Folder::new();
    let clock = std::sync::Arc::new(crate::clock::Clock::new());
    let missing = folder.path().join("none.yml");
    let why = super::Config::open(&missing, std::sync::Arc::clone(&clock)).unwrap_err();
    assert!(why.to_string().contains("none.yml"), "{why}");
    let file = folder.write("web.yml", TLS);
    let why = super::Config::open(&file, clock).unwrap_err().to_string();
    for word in [
        "web.yml",
        "tls_server_config.cert_file",
        "server.pem",
        "No such file",
    ] {
        assert!(why.contains(word), "{word} is not in {why}");
    }
}
