//! Headers that go with every answer but those to health checks.
//!
//! Takes names and values as written; gives headers. The names are those that exporters agree on.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The names, and the values where not every one means something.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

pub(super) fn build(written: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let of = || format!("http_server_config.headers.{name}");
        let Some((_, values)) = ALLOWED.iter().find(|(allowed, _)| allowed == name) else {
            let names = ALLOWED.map(|(allowed, _)| allowed).join(", ");
            return Err(format!(
                "{}: this header cannot be set; choose of {names}",
                of()
            ));
        };
        if !values.is_empty() && !values.contains(&value.as_str()) {
            let values = values.join(" or ");
            return Err(format!("{}: expected {values}, got {value:?}", of()));
        }
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(name), Ok(value)) = parsed else {
            return Err(format!("{}: not a value that a header can have", of()));
        };
        // As for other exporters, a blank value is none.
        if !value.is_empty() {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Result<HeaderMap, String> {
        build(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn only_names_and_values_of_the_toolkit_are_taken() {
        assert_eq!(
            of("X-Frame-Options", "deny").unwrap()["x-frame-options"],
            "deny"
        );
        assert!(of("X-XSS-Protection", "").unwrap().is_empty());
        let why = of("X-Frame-Options", "allow").unwrap_err();
        assert!(
            why.contains("X-Frame-Options") && why.contains("sameorigin"),
            "{why}"
        );
        let why = of("Server", "x").unwrap_err();
        assert!(
            why.contains("Server") && why.contains("X-XSS-Protection"),
            "{why}"
        );
        let why = of("Content-Security-Policy", "a\nb").unwrap_err();
        assert!(why.contains("Content-Security-Policy"), "{why}");
    }
}
