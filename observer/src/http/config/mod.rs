//! The web configuration: TLS, users, headers and how often clients may ask, in the format of the
//! exporters of Prometheus.
//!
//! Takes a file; gives [`Rules`]. The file and those that it names are read anew for every
//! connection and every request, so what rotates needs no restart. What was made of them is kept
//! as long as they stay the same. While they are wrong, only health checks are served, and with TLS
//! not even those, as no connection begins.

mod algorithms;
mod client;
mod file;
mod guard;
mod headers;
mod last;
mod names;
mod rate;
mod tls;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::HeaderMap;
use rustls::ServerConfig;
use tokio::sync::Mutex;

use crate::clock::Clock;
use guard::Guard;
use last::Last;
use rate::{Bucket, Rate};
use users::Users;

/// Why a file cannot be served by.
#[derive(Debug, thiserror::Error)]
#[error("web configuration {}: {why}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    why: Arc<str>,
}

/// A file to serve by.
pub struct Config {
    path: PathBuf,
    clock: Arc<Clock>,
    is_tls: bool,
    guard: Guard,
    bucket: Bucket,
    last: Arc<Mutex<Last>>,
}

/// What the file asks for.
#[derive(Debug)]
pub(super) struct Rules {
    /// What a handshake is made with.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// What goes with every answer but those to health checks.
    pub(super) headers: HeaderMap,
    verifies_clients: bool,
    users: Users,
    rate: Option<Rate>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooOften,
    TooManyChecks,
    Unknown,
}

/// The file is wrong; the log says in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl fmt::Debug for Config {
    /// The rest are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Config");
        shown.field("path", &self.path).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a file; it must be right at the start.
    pub fn open(path: &Path, clock: Arc<Clock>) -> Result<Self, ConfigError> {
        let wrong = |why: Arc<str>| ConfigError {
            path: path.to_owned(),
            why,
        };
        let last = Last::read(path);
        let rules = last.rules().map_err(wrong)?;
        let guard = Guard::new().ok_or_else(|| wrong("the host has no random numbers".into()))?;
        Ok(Self {
            path: path.to_owned(),
            clock,
            is_tls: rules.tls.is_some(),
            guard,
            bucket: Bucket::default(),
            last: Arc::new(Mutex::new(last)),
        })
    }

    /// Whether connections are encrypted; that is settled at the start.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// What the file asks for at this moment.
    pub(super) async fn rules(&self) -> Result<Arc<Rules>, Broken> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            last.read_again(&path);
            last.rules()
        });
        match read.await {
            Ok(Ok(rules)) => Ok(rules),
            Ok(Err(_)) | Err(_) => Err(Broken),
        }
    }

    /// Whether a request may be answered.
    pub(super) async fn judge(&self, rules: &Rules, asked: &HeaderMap) -> Result<(), Refusal> {
        let now = self.clock.now();
        if rules
            .rate
            .is_some_and(|rate| !self.bucket.allows(rate, now))
        {
            return Err(Refusal::TooOften);
        }
        if rules.users.is_empty() {
            return Ok(());
        }
        self.guard.admits(&rules.users, asked).await
    }
}
