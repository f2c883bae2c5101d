//! Connections, and the requests on them.
//!
//! Takes listeners, a site and terms; gives answers. What a request must show is settled here, what
//! it is answered by the site.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::config::{Broken, Config, Rules};
use super::gzip;
use super::refusal::{broken, refused};
use super::room::{Place, Placed, Room};
use super::secure::{shake_hands, timed};
use super::site::{self, Site};
use crate::stop::Stop;

/// Connections served at once on all addresses; more wait in the listen queue.
pub(super) const CONNECTIONS: usize = 256;

/// How long a client may take for a handshake or its request headers, and how long it may idle.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// How long one connection may live, and how long its last answer may take after that. When the
/// agent stops, that answer has only until the last events are counted.
const CONNECTION_LIFE: Duration = Duration::from_mins(10);
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Bytes of request headers and of what a client has not read of an answer.
const BUFFER: usize = 16 * 1024;

/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// On what terms clients are served.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Requests answered at once; 0 is no bound.
    pub requests: usize,
    /// How long a client may take for a handshake or its request headers, and how long it may idle.
    pub header_time: Duration,
    /// How long a client may read nothing of an answer that it asked for.
    pub read_time: Duration,
    /// Encryption, users and headers; `None`: plain HTTP for everybody.
    pub config: Option<Arc<Config>>,
}

impl Terms {
    /// The usual ones, with so many requests at once.
    pub const fn new(requests: usize, config: Option<Arc<Config>>) -> Self {
        Self {
            requests,
            header_time: HEADER_TIME,
            read_time: Duration::from_secs(30),
            config,
        }
    }
}

/// Serves on every listener until told to stop.
pub fn serve(listeners: Vec<TcpListener>, site: &Arc<Site>, terms: Terms, stop: &Stop) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let server = Arc::new(Server {
        site: Arc::clone(site),
        room: Room::new(terms.requests),
        terms,
        stop: stop.clone(),
    });
    for listener in listeners {
        let server = Arc::clone(&server);
        tokio::spawn(server.accept(listener, Arc::clone(&connections)));
    }
}

/// What every connection is served with.
struct Server {
    site: Arc<Site>,
    room: Room,
    terms: Terms,
    stop: Stop,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener, connections: Arc<Semaphore>) {
        loop {
            let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                () = self.stop.wait() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let server = Arc::clone(&self);
                    tokio::spawn(async move {
                        server.welcome(stream).await;
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

    /// Serves one connection, encrypted if that is asked for.
    async fn welcome(self: Arc<Self>, stream: TcpStream) {
        let times = (self.terms.header_time, self.terms.read_time);
        let secured = self.terms.config.as_ref().filter(|config| config.is_tls());
        let Some(config) = secured else {
            return self.converse(timed(stream, times.1)).await;
        };
        let shaken = tokio::select! {
            () = self.stop.wait() => return,
            shaken = shake_hands(stream, config, times) => shaken,
        };
        match shaken {
            Ok(stream) => Arc::clone(&self).converse(stream).await,
            Err(error) => debug!(%error, "no TLS with a web client"),
        }
    }

    async fn converse<Stream>(self: Arc<Self>, stream: Stream)
    where
        Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let server = Arc::clone(&self);
            let (head, _) = request.into_parts();
            async move { Ok::<_, Infallible>(server.answer(&head).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.terms.header_time)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.wait() => finish(connection.as_mut()).await,
            () = tokio::time::sleep(CONNECTION_LIFE) => finish(connection.as_mut()).await,
        };
        if let Err(error) = ended {
            debug!(%error, "a web client went away, read too slowly or did not speak HTTP/1.1");
        }
    }

    /// The answer to one request, as it goes out.
    async fn answer(&self, asked: &Parts) -> Response<Placed> {
        let (answer, place) = if site::is_health(asked.uri.path()) {
            // Who looks after the process has no password, and must not wait for files or be told
            // to come back.
            (self.ask_site(asked), None)
        } else {
            self.answer_by_rules(asked).await
        };
        let (mut head, body) = answer.into_parts();
        let body = gzip::encode(&mut head, body, gzip::is_accepted(&asked.headers));
        Response::from_parts(head, Placed::new(body, place))
    }

    /// The answer to who is no health check, with the headers that go with it.
    async fn answer_by_rules(&self, asked: &Parts) -> (Response<Bytes>, Option<Place>) {
        let rules = match &self.terms.config {
            Some(config) => config.rules().await.map(Some),
            None => Ok(None),
        };
        let (mut answer, place) = self.admit(asked, &rules).await;
        if let Ok(Some(rules)) = rules {
            answer.headers_mut().extend(rules.headers.clone());
        }
        (answer, place)
    }

    /// The answer if the client may have it, and the client's place.
    async fn admit(
        &self,
        asked: &Parts,
        rules: &Result<Option<Arc<Rules>>, Broken>,
    ) -> (Response<Bytes>, Option<Place>) {
        let judged = match (&self.terms.config, rules) {
            (_, Err(Broken)) => return (broken(), None),
            (Some(config), Ok(Some(rules))) => config.judge(rules, &asked.headers).await,
            (None, _) | (_, Ok(None)) => Ok(()),
        };
        if let Err(refusal) = judged {
            return (refused(refusal), None);
        }
        match self.room.take() {
            Ok(place) => (self.ask_site(asked), Some(place)),
            Err(why) => (site::plain(StatusCode::SERVICE_UNAVAILABLE, &why), None),
        }
    }

    fn ask_site(&self, asked: &Parts) -> Response<Bytes> {
        let query = asked.uri.query().unwrap_or_default();
        self.site.answer(&asked.method, asked.uri.path(), query)
    }
}

/// Takes no more requests, and lets the answer that is under way go out, within bounds.
async fn finish<Stream, Service>(
    mut connection: Pin<&mut http1::Connection<TokioIo<Stream>, Service>>,
) -> hyper::Result<()>
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    Service: hyper::service::HttpService<Incoming, ResBody = Placed>,
    Service::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(LAST_ANSWER, connection)
        .await
        .unwrap_or(Ok(()))
}
