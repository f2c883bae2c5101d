//! Answers in gzip, where the client takes them so and it saves something.
//!
//! Takes what the client accepts (RFC 9110, section 12.5.3) and an answer; gives the answer as it
//! goes out.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use hyper::http::response::Parts;

/// A smaller answer is one segment in any case.
const LEAST: usize = 1400;

/// Whether the client takes gzip.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let given = headers.get_all(ACCEPT_ENCODING).iter();
    let words = given.filter_map(|it| it.to_str().ok());
    let codings = words.flat_map(|it| it.split(','));
    let weights = codings.filter_map(weight);
    // What is named counts more than what is meant by a star.
    weights.max().is_some_and(|(_, is_taken)| is_taken)
}

/// Whether a coding is gzip by name, and whether it is taken; `None` for any other.
fn weight(coding: &str) -> Option<(bool, bool)> {
    let mut parts = coding.split(';').map(str::trim);
    let name = parts.next()?;
    let is_named = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
    if !is_named && name != "*" {
        return None;
    }
    let quality = parts.find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
    let is_zero = quality.is_some_and(|it| it.parse::<f32>().is_ok_and(|it| it <= 0.0));
    Some((is_named, !is_zero))
}

/// The body, and what the headers say of it.
pub(super) fn encode(head: &mut Parts, body: Bytes, is_accepted: bool) -> Bytes {
    head.headers
        .insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    if !is_accepted || body.len() < LEAST {
        return body;
    }
    // A scrape is not worth more than the fastest.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    let encoded = encoder.write_all(&body).and_then(|()| encoder.finish());
    match encoded {
        Ok(encoded) => {
            head.headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            encoded.into()
        }
        // Writing to memory does not fail; what is not encoded is right too.
        Err(_) => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accept.parse().unwrap());
        is_accepted(&headers)
    }

    #[test]
    fn what_a_client_accepts_is_read_as_rfc_9110_says() {
        assert!(takes("gzip") && takes("deflate, GZIP;q=0.5") && takes("*"));
        assert!(takes("br, gzip ; q=1, *;q=0"));
        assert!(!takes("gzip;q=0, *") && !takes("br") && !takes("*;q=0.0"));
        assert!(!takes("") && !is_accepted(&HeaderMap::new()));
    }
}
