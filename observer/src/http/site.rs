//! What is served under which path.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::page::{self as status_page, Page as StatusPage};
use crate::clock::Clock;
use crate::event::Timestamp;
use crate::probe::Coverage;
use crate::sink::board::{Board, Survey};
use crate::sink::books::Books;
use crate::sink::connections;
use crate::sink::endings;
use crate::sink::findings;
use crate::sink::ports;
use crate::sink::prometheus::{self, Metrics};
use crate::sink::status::Status;
use crate::sink::time_wait;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const FIRST_CENSUS: &str = "the first census is not taken yet\n";

/// What the answers are made from.
#[derive(Debug)]
pub struct Site {
    metrics: Arc<Metrics>,
    clock: Arc<Clock>,
    started: Timestamp,
    telemetry_path: String,
    audit_interval: Duration,
    board: Arc<Board>,
    page: StatusPage,
    /// Set once the probes are attached.
    coverage: OnceLock<Coverage>,
}

impl Site {
    /// A site of an agent that starts.
    pub fn new(
        metrics: Arc<Metrics>,
        clock: Arc<Clock>,
        telemetry_path: String,
        audit_interval: Duration,
        board: Arc<Board>,
    ) -> Self {
        Self {
            metrics,
            started: clock.now(),
            clock,
            page: StatusPage::new(&telemetry_path),
            telemetry_path,
            audit_interval,
            board,
            coverage: OnceLock::new(),
        }
    }

    /// The probes are attached; after the next census the agent is ready.
    pub fn ready(&self, coverage: Coverage) {
        // Attaching happens once, so there is nothing to replace.
        drop(self.coverage.set(coverage));
    }

    /// The answer to one request.
    pub(super) fn answer(&self, method: &Method, path: &str, query: &str) -> Response<Bytes> {
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut answer = plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered\n",
            );
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            _ if path == self.telemetry_path => self.metrics(),
            "/status" => self.status(),
            "/api/v1/findings" => self.surveyed(findings::Query::parse(query), |survey, query| {
                findings::page(survey, query, &self.clock)
            }),
            "/api/v1/connections" => {
                self.surveyed(connections::Query::parse(query), connections::page)
            }
            "/api/v1/time-wait" => self.surveyed(time_wait::asked(query), time_wait::page),
            "/api/v1/ports" => self.surveyed(ports::asked(query), ports::page),
            "/api/v1/endings" => self.endings(query),
            "/-/healthy" => plain(StatusCode::OK, "healthy\n"),
            "/-/ready" => self.readiness(),
            _ => match self.page.file(path) {
                Some((kind, text)) => status_page::confined(page(StatusCode::OK, kind, text)),
                None => plain(
                    StatusCode::NOT_FOUND,
                    "nothing here; / lists what is served\n",
                ),
            },
        }
    }

    /// Ready is who sees every end from here on and knows what was there before.
    fn readiness(&self) -> Response<Bytes> {
        let lacks = match (self.coverage.get(), self.board.last()) {
            (Some(_), Some(_)) => return plain(StatusCode::OK, "ready\n"),
            (Some(_), None) => FIRST_CENSUS,
            (None, _) => "the probes are not attached yet\n",
        };
        plain(StatusCode::SERVICE_UNAVAILABLE, lacks)
    }

    fn metrics(&self) -> Response<Bytes> {
        match self.metrics.encode() {
            Ok(text) => page(StatusCode::OK, prometheus::CONTENT_TYPE, text),
            Err(error) => failed(&error),
        }
    }

    fn status(&self) -> Response<Bytes> {
        let uptime = self.clock.now().since(self.started).as_secs_f64();
        let standing = self.metrics.standing();
        let accounts = self.metrics.audit().accounts();
        let books = Books::new(self.audit_interval, &accounts, &self.clock);
        let status = Status::new(self.coverage.get(), &standing, uptime, books);
        match serde_json::to_vec_pretty(&status) {
            Ok(text) => page(StatusCode::OK, JSON, text),
            Err(error) => failed(&error),
        }
    }

    fn endings(&self, query: &str) -> Response<Bytes> {
        let query = match endings::Query::parse(query) {
            Ok(query) => query,
            Err(why) => return plain(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        };
        let now = self.clock.now();
        match endings::page(&self.board.endings, query, now, &self.clock) {
            Ok(text) => page(StatusCode::OK, JSON, text),
            Err(error) => failed(&error),
        }
    }

    /// A page about what the last census found, if what is asked for can be.
    fn surveyed<Query>(
        &self,
        query: Result<Query, String>,
        write: impl FnOnce(&Survey, Query) -> serde_json::Result<String>,
    ) -> Response<Bytes> {
        let query = match query {
            Ok(query) => query,
            Err(why) => return plain(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        };
        let Some(survey) = self.board.last() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, FIRST_CENSUS);
        };
        match write(&survey, query) {
            Ok(text) => page(StatusCode::OK, JSON, text),
            Err(error) => failed(&error),
        }
    }
}

/// Whether a path tells no more than that the agent is well, so that anybody may ask.
pub(super) fn is_health(path: &str) -> bool {
    ["/-/healthy", "/-/ready"].contains(&path)
}

fn failed(error: &dyn std::error::Error) -> Response<Bytes> {
    plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n"))
}

pub(super) fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    page(status, TEXT, text.to_owned())
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
