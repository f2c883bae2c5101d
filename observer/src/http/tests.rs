//! The endpoints over real sockets.

use std::io::{Read as _, Write as _};

use super::*;
use crate::clock::Clock;
use crate::sink::prometheus::Metrics;
use crate::sink::sample;

/// Serves while `client` runs on another thread; gives what it returns.
fn with_site<T: Send + 'static>(
    address: &str,
    client: impl FnOnce(SocketAddr, Arc<Site>) -> T + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    runtime.block_on(async move {
        let metrics = Arc::new(Metrics::new().unwrap());
        let site = Arc::new(Site::new(
            metrics,
            Arc::new(Clock::new()),
            "/metrics".to_owned(),
        ));
        let listeners = bind(&[address]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let stop = Stop::new();
        serve(listeners, &site, &stop);
        let result = tokio::task::spawn_blocking(move || client(address, site))
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
    with_site("127.0.0.1:0", |address, site| {
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/-/ready").starts_with("HTTP/1.1 503"));
        assert!(get(address, "/status").contains("\"state\": \"starting\""));
        site.ready(sample::coverage());
        assert!(get(address, "/-/ready").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/status").contains("\"state\": \"degraded\""));
        let metrics = get(address, "/metrics?name=x");
        assert!(
            metrics.contains("content-type: text/plain; version=0.0.4"),
            "{metrics}"
        );
        assert!(metrics.contains("\ntcp_observer_build_info{"), "{metrics}");
        assert!(get(address, "/").contains("<a href=\"/metrics\">"));
        assert!(get(address, "/favicon.ico").starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn head_has_no_body_and_post_is_refused() {
    with_site("127.0.0.1:0", |address, _| {
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
    with_site("127.0.0.1:0", |address, _| {
        assert!(ask(address, "hello\r\n\r\n").starts_with("HTTP/1.1 400"));
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn silent_clients_leave_room_for_others_up_to_the_bound() {
    with_site("127.0.0.1:0", |address, _| {
        let silent: Vec<_> = (1..CONNECTIONS)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        drop(silent);
    });
}

#[test]
fn a_port_in_use_is_named_with_a_remedy() {
    with_site("127.0.0.1:0", |address, _| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(bind(&[address])).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("--web.listen-address"), "{error}");
    });
}
