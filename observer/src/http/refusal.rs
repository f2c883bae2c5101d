//! What clients are told who are not served.
//!
//! Takes a reason; gives the answer.

use hyper::body::Bytes;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::config::Refusal;
use super::site;

/// What a client without credentials must show.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"tcp-observer\", charset=\"UTF-8\"");

/// Only the log says in what, as it may name users and folders.
pub(super) fn broken() -> Response<Bytes> {
    let text = "the web configuration is wrong; the log of the agent says in what\n";
    site::plain(StatusCode::INTERNAL_SERVER_ERROR, text)
}

pub(super) fn refused(refusal: Refusal) -> Response<Bytes> {
    match refusal {
        Refusal::TooOften => site::plain(
            StatusCode::TOO_MANY_REQUESTS,
            "more requests than rate_limit of the web configuration allows; try again\n",
        ),
        // Who tries again comes on a connection of its own, so that others get this place.
        Refusal::TooManyChecks => with(
            site::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many passwords are being checked; try again\n",
            ),
            CONNECTION,
            HeaderValue::from_static("close"),
        ),
        Refusal::Unknown => with(
            site::plain(
                StatusCode::UNAUTHORIZED,
                "a name and its password are needed\n",
            ),
            WWW_AUTHENTICATE,
            CHALLENGE,
        ),
    }
}

fn with(mut answer: Response<Bytes>, name: HeaderName, value: HeaderValue) -> Response<Bytes> {
    answer.headers_mut().insert(name, value);
    answer
}
