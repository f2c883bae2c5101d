//! The endpoints over real sockets.

mod abuse;
pub(super) mod certificates;
mod clients;
mod rotated;
pub(super) mod secured;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;

use super::server::CONNECTIONS;
use super::*;
use crate::clock::Clock;
use crate::sink::board::{Board, Survey};
use crate::sink::prometheus::{Bounds, Metrics};
use crate::sink::sample;
use crate::stop::Stop;

/// A port that the kernel chooses.
const ANYWHERE: &str = "127.0.0.1:0";

/// Requests answered at once here.
const REQUESTS: usize = 1;

/// Serves plain HTTP while `client` runs on another thread; gives what it returns.
fn with_site<T: Send + 'static>(
    address: &str,
    client: impl FnOnce(SocketAddr, Arc<Site>) -> T + Send + 'static,
) -> T {
    with_config(address, None, move |address, site, _| client(address, site))
}

/// As [`with_site`], by this file.
fn with_config<T: Send + 'static>(
    address: &str,
    file: Option<&std::path::Path>,
    client: impl FnOnce(SocketAddr, Arc<Site>, Arc<Board>) -> T + Send + 'static,
) -> T {
    abuse::with_descriptors();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let clock = Arc::new(Clock::new());
    let config = file.map(|file| Arc::new(Config::open(file, Arc::clone(&clock)).unwrap()));
    runtime.block_on(async move {
        let metrics = Arc::new(Metrics::new(Bounds::default()).unwrap());
        let board = Arc::<Board>::default();
        let site = Arc::new(Site::new(
            metrics,
            clock,
            "/metrics".to_owned(),
            Duration::from_secs(30),
            Arc::clone(&board),
        ));
        let listeners = bind(&[address]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        // On loopback the kernel would keep megabytes for who does not read.
        sockopt::set_socket_send_buffer_size(&listeners[0], 16 << 10).unwrap();
        let stop = Stop::new();
        let terms = Terms {
            requests: REQUESTS,
            header_time: Duration::from_secs(2),
            read_time: Duration::from_secs(2),
            config,
        };
        serve(listeners, &site, terms, &stop);
        let result = tokio::task::spawn_blocking(move || client(address, site, board))
            .await
            .unwrap();
        stop.set();
        result
    })
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

#[test]
fn every_path_is_answered() {
    with_site(ANYWHERE, |address, site| {
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        let early = get(address, "/api/v1/findings");
        assert!(
            early.starts_with("HTTP/1.1 503") && early.contains("census"),
            "{early}"
        );
        let wrong = get(address, "/api/v1/connections?state=listen");
        assert!(
            wrong.starts_with("HTTP/1.1 400") && wrong.contains("close_wait"),
            "{wrong}"
        );
        let wrong = get(address, "/api/v1/findings?kind=leak");
        assert!(
            wrong.starts_with("HTTP/1.1 400") && wrong.contains("close_wait_leak"),
            "{wrong}"
        );
        assert!(get(address, "/status").contains("\"state\": \"starting\""));
        site.ready(sample::coverage());
        assert!(get(address, "/status").contains("\"state\": \"degraded\""));
        let metrics = get(address, "/metrics?name=x");
        assert!(
            metrics.contains("content-type: text/plain; version=0.0.4"),
            "{metrics}"
        );
        assert!(metrics.contains("\ntcp_observer_build_info{"), "{metrics}");
        let page = get(address, "/");
        assert!(page.contains("<a href=\"./metrics\">"), "{page}");
        assert!(
            page.contains("content-security-policy: default-src 'none';"),
            "{page}"
        );
        assert!(get(address, "/page/page.js").contains("text/javascript"));
        assert!(get(address, "/api/v1/endings").contains("\"recent\": []"));
        assert!(get(address, "/favicon.ico").starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn the_agent_is_ready_once_it_is_attached_and_has_looked_around() {
    with_config(ANYWHERE, None, |address, site, board| {
        let early = get(address, "/-/ready");
        assert!(
            early.starts_with("HTTP/1.1 503") && early.contains("probes"),
            "{early}"
        );
        site.ready(sample::coverage());
        let early = get(address, "/-/ready");
        assert!(
            early.starts_with("HTTP/1.1 503") && early.contains("census"),
            "{early}"
        );
        board.pin(Survey::empty());
        assert!(get(address, "/-/ready").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn head_has_no_body_and_post_is_refused() {
    with_site(ANYWHERE, |address, _| {
        let head = ask(
            address,
            "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.contains("content-length: ") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        let post = ask(
            address,
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        assert!(
            post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"),
            "{post}"
        );
    });
}

#[test]
fn what_is_not_http_is_answered_with_400() {
    with_site(ANYWHERE, |address, _| {
        assert!(ask(address, "hello\r\n\r\n").starts_with("HTTP/1.1 400"));
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_port_in_use_is_named_with_a_remedy() {
    with_site(ANYWHERE, |address, _| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(bind(&[address])).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("--web.listen-address"), "{error}");
    });
}

#[test]
fn a_scrape_goes_out_in_gzip_to_those_who_take_it() {
    with_site(ANYWHERE, |address, _| {
        let plain = get(address, "/metrics");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\
                       Connection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = answer.split_at(end);
        let head = std::str::from_utf8(head).unwrap();
        assert!(head.contains("content-encoding: gzip"), "{head}");
        assert!(head.contains("vary: accept-encoding"), "{head}");
        assert!(body.len() * 4 < plain.len(), "{} bytes", body.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(body)
            .read_to_string(&mut text)
            .unwrap();
        let names = |text: &str| text.lines().filter(|it| it.starts_with("# TYPE")).count();
        assert_eq!(names(&text), names(&plain));
    });
}
