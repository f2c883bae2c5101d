//! The web endpoints: `/metrics`, `/status`, `/-/healthy`, `/-/ready` and a landing page.
//!
//! Takes listening sockets and a [`Site`]; gives HTTP/1.1 answers until told to stop. It runs
//! on threads of its own and is bounded in connections, headers and time, so that no client
//! can hold up the event loop or the end of the agent.

mod site;

pub use site::Site;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::stop::Stop;

/// Connections served at once on all addresses; more wait in the listen queue.
const CONNECTIONS: usize = 64;

/// How long a client may take for its request headers, and how long it may idle.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// How long one connection may live, and how long its last answer may take after that.
const CONNECTION_LIFE: Duration = Duration::from_mins(10);
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Bytes of request headers and of what a client has not read of an answer.
const BUFFER: usize = 64 * 1024;

/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct BindError {
    address: SocketAddr,
    why: String,
}

/// Listens on every address, or on none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind_one(*address).await.map_err(|error| BindError {
            address: *address,
            why: why(*address, &error),
        })?);
    }
    Ok(listeners)
}

async fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
    match TcpListener::bind(address).await {
        // `:PORT` means every address, on hosts without IPv6 too.
        Err(error) if address == every && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the standard library has more kinds than have a remedy"
)]
fn why(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the port is in use; see who holds it with `ss -ltnp sport = :{port}`, or choose \
             another with --web.listen-address"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address; choose one with --web.listen-address".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "port {port} needs CAP_NET_BIND_SERVICE; choose one above 1023 with --web.listen-address"
        ),
        _ => error.to_string(),
    }
}

/// Serves on every listener until told to stop.
pub fn serve(listeners: Vec<TcpListener>, site: &Arc<Site>, stop: &Stop) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    for listener in listeners {
        tokio::spawn(accept(
            listener,
            Arc::clone(site),
            Arc::clone(&room),
            stop.clone(),
        ));
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, room: Arc<Semaphore>, stop: Stop) {
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.wait() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (site, stop) = (Arc::clone(&site), stop.clone());
                tokio::spawn(async move {
                    converse(stream, site, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection.
async fn converse(stream: TcpStream, site: Arc<Site>, stop: Stop) {
    let service = service_fn(move |request| {
        let answer = site.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.wait() => finish(connection.as_mut()).await,
        () = tokio::time::sleep(CONNECTION_LIFE) => finish(connection.as_mut()).await,
    };
    if let Err(error) = ended {
        debug!(%error, "a web client went away or did not speak HTTP/1.1");
    }
}

/// Lets the answer that is under way go out, within bounds.
async fn finish<S>(
    mut connection: std::pin::Pin<&mut http1::Connection<TokioIo<TcpStream>, S>>,
) -> hyper::Result<()>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = site::Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(LAST_ANSWER, connection)
        .await
        .unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
