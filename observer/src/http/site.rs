//! What is served under which path.

use std::sync::{Arc, OnceLock};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

use crate::clock::Clock;
use crate::event::Timestamp;
use crate::probe::Coverage;
use crate::sink::prometheus::{self, Metrics};
use crate::sink::status::Status;

/// The body of every answer.
pub(crate) type Body = Full<Bytes>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What the answers are made from.
#[derive(Debug)]
pub struct Site {
    metrics: Arc<Metrics>,
    clock: Arc<Clock>,
    started: Timestamp,
    telemetry_path: String,
    /// Set once the probes are attached; from then on the agent is ready.
    coverage: OnceLock<Coverage>,
}

impl Site {
    /// A site of an agent that starts.
    pub fn new(metrics: Arc<Metrics>, clock: Arc<Clock>, telemetry_path: String) -> Self {
        Self {
            metrics,
            started: clock.now(),
            clock,
            telemetry_path,
            coverage: OnceLock::new(),
        }
    }

    /// The probes are attached.
    pub fn ready(&self, coverage: Coverage) {
        // Attaching happens once, so there is nothing to replace.
        drop(self.coverage.set(coverage));
    }

    /// The answer to one request.
    pub(super) fn answer(&self, method: &Method, path: &str) -> Response<Body> {
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
            "/" => page(StatusCode::OK, HTML, self.landing()),
            "/status" => self.status(),
            "/-/healthy" => plain(StatusCode::OK, "healthy\n"),
            "/-/ready" if self.coverage.get().is_some() => plain(StatusCode::OK, "ready\n"),
            "/-/ready" => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "the probes are not attached yet\n",
            ),
            _ => plain(
                StatusCode::NOT_FOUND,
                "nothing here; / lists what is served\n",
            ),
        }
    }

    fn metrics(&self) -> Response<Body> {
        match self.metrics.encode() {
            Ok(text) => page(StatusCode::OK, prometheus::CONTENT_TYPE, text),
            Err(error) => failed(&error),
        }
    }

    fn status(&self) -> Response<Body> {
        let uptime = self.clock.now().since(self.started).as_secs_f64();
        let standing = self.metrics.standing();
        match serde_json::to_vec_pretty(&Status::new(self.coverage.get(), &standing, uptime)) {
            Ok(text) => page(StatusCode::OK, JSON, text),
            Err(error) => failed(&error),
        }
    }

    fn landing(&self) -> String {
        let metrics = &self.telemetry_path;
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tcp-observer</title></head>\n\
             <body><h1>tcp-observer {version}</h1>\n\
             <p>Says how every TCP connection of this host ended, why, and who ended it.</p>\n\
             <ul>\n\
             <li><a href=\"{metrics}\">{metrics}</a>: metrics for Prometheus</li>\n\
             <li><a href=\"/status\">/status</a>: which probe answers which question, and what was lost</li>\n\
             <li><a href=\"/-/healthy\">/-/healthy</a>, <a href=\"/-/ready\">/-/ready</a></li>\n\
             </ul></body></html>\n"
        )
    }
}

fn failed(error: &dyn std::error::Error) -> Response<Body> {
    plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n"))
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    page(status, TEXT, text.to_owned())
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
