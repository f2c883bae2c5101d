//! How a connection begins where TLS is spoken.
//!
//! Takes a connection; gives it encrypted, within a time, or closes it. Who speaks plain HTTP is
//! told so, as the other exporters do.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::Config;

/// What goes to a client that did not mean to encrypt.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The most that is read of its request, so that the answer is not lost to a reset.
const READ_OF_PLAIN: u64 = 64 * 1024;

/// A connection whose client must read what it asked for.
pub(super) type Timed = Pin<Box<TimeoutStream<TcpStream>>>;

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSecure {
    #[error("it took too long")]
    Late,
    #[error("the client spoke plain HTTP")]
    Plain,
    #[error("the web configuration is wrong")]
    Broken,
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// Closes connections on which nothing of what is written is read for so long.
pub(super) fn timed(stream: TcpStream, read_time: Duration) -> Timed {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(read_time));
    Box::pin(stream)
}

/// The handshake, with what the files ask for at this moment.
pub(super) async fn shake_hands(
    stream: TcpStream,
    config: &Config,
    (shake_time, read_time): (Duration, Duration),
) -> Result<TlsStream<Timed>, NotSecure> {
    let shaken = tokio::time::timeout(shake_time, async {
        let mut first = [0];
        stream.peek(&mut first).await?;
        // A handshake starts with 22, a request with a method.
        if first[0].is_ascii_uppercase() {
            tell_plain(stream).await?;
            return Err(NotSecure::Plain);
        }
        let rules = config.rules().await.map_err(|_broken| NotSecure::Broken)?;
        let tls = rules.tls.clone().ok_or(NotSecure::Broken)?;
        let stream = timed(stream, read_time);
        Ok(TlsAcceptor::from(tls).accept(stream).await?)
    });
    shaken.await.unwrap_or(Err(NotSecure::Late))
}

async fn tell_plain(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(READ_OF_PLAIN);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
