//! The web configuration as it is written, in the YAML of the exporters of Prometheus.
//!
//! Takes a path; gives the keys and the contents of the files that they name. Nothing is judged
//! here but what YAML itself forbids and keys that are not known.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Deserialize;

/// The most that is read of any file: a certificate chain has a few kilobytes.
const MOST: u64 = 1 << 20;

/// The whole file.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    pub(super) tls_server_config: Option<Tls>,
    pub(super) http_server_config: Option<Http>,
    pub(super) basic_auth_users: Option<BTreeMap<String, String>>,
    pub(super) rate_limit: Option<RateLimit>,
}

/// Whom to serve, and with which certificate.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

/// What goes with every answer but those to health checks.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    /// Accepted for the sake of files that are shared; answers are HTTP/1.1 in any case.
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<BTreeMap<String, String>>,
}

/// How often clients may ask.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    pub(super) interval: Option<Interval>,
    pub(super) burst: Option<u32>,
}

/// A time with its unit, or 0.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Interval {
    Number(u64),
    Text(String),
}

/// What a certificate, its key and the authority of clients are made of.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Pem {
    pub(super) cert: Option<Found>,
    pub(super) key: Option<Found>,
    pub(super) client_ca: Option<Found>,
}

/// What a key leads to, written in the file itself or in another.
#[derive(Clone, PartialEq)]
pub(super) struct Found {
    /// The key that is written, in the words of an error.
    pub(super) key: String,
    pub(super) bytes: Vec<u8>,
}

/// All that the rules are made from; as long as it stays the same, so do they.
#[derive(Clone, PartialEq)]
pub(super) struct Gathered {
    pub(super) written: Written,
    pub(super) pem: Pem,
}

impl Gathered {
    /// Reads the file and those that it names. Paths are relative to its folder.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let written = parse(&read(path)?)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let pem = match &written.tls_server_config {
            Some(tls) => Pem {
                cert: one(
                    folder,
                    ("cert", tls.cert.as_ref()),
                    ("cert_file", tls.cert_file.as_ref()),
                )?,
                key: one(
                    folder,
                    ("key", tls.key.as_ref()),
                    ("key_file", tls.key_file.as_ref()),
                )?,
                client_ca: one(
                    folder,
                    ("client_ca", tls.client_ca.as_ref()),
                    ("client_ca_file", tls.client_ca_file.as_ref()),
                )?,
            },
            None => Pem::default(),
        };
        Ok(Self { written, pem })
    }
}

/// What is written; as for other exporters, a key without a value is one that is not there.
fn parse(text: &[u8]) -> Result<Written, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    let parsed: Option<Written> = serde_saphyr::from_str(text)
        // The lines around it may hold a key or a password's hash.
        .map_err(|error| error.without_snippet().to_string())?;
    Ok(parsed.unwrap_or_default())
}

/// What stands in the file itself, or in another.
fn one(
    folder: &Path,
    (key, inline): (&str, Option<&String>),
    (file_key, file): (&str, Option<&String>),
) -> Result<Option<Found>, String> {
    let key_of = |key: &str| format!("tls_server_config.{key}");
    let found = |key: &str, bytes: Vec<u8>| {
        let key = key_of(key);
        Some(Found { key, bytes })
    };
    match (is_set(inline), is_set(file)) {
        (Some(_), Some(_)) => Err(format!(
            "{} and {file_key} say the same; leave one out",
            key_of(key)
        )),
        (Some(text), None) => Ok(found(key, text.as_bytes().to_vec())),
        (None, Some(name)) => {
            let path = folder.join(name);
            let read = read(&path).map(|bytes| found(file_key, bytes));
            read.map_err(|why| format!("{}: {}: {why}", key_of(file_key), path.display()))
        }
        (None, None) => Ok(None),
    }
}

/// A text that is more than empty.
pub(super) fn is_set(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// Opens without waiting: a FIFO that nobody writes to is an error, not a reason to hang.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut options = File::options();
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let read = opened.and_then(|file| {
        let is_file = file.metadata()?.is_file();
        let mut bytes = Vec::new();
        if is_file {
            file.take(MOST + 1).read_to_end(&mut bytes)?;
        }
        Ok((is_file, bytes))
    });
    match read {
        Ok((false, _)) => Err("not a file; name one".to_owned()),
        Ok((true, bytes)) if bytes.len() as u64 > MOST => {
            Err(format!("longer than {MOST} bytes; is it the right file?"))
        }
        Ok((true, bytes)) => Ok(bytes),
        Err(error) => Err(format!(
            "cannot be read: {error}; name a file that the agent may read"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, words: &[&str]) {
        let Err(why) = parse(text.as_bytes()) else {
            panic!("accepted: {text}");
        };
        for word in words {
            assert!(why.contains(word), "{word:?} is not in {why:?}");
        }
    }

    #[test]
    fn nothing_written_is_nothing_asked_for() {
        for text in [
            "",
            "# nothing\n",
            "{}",
            "tls_server_config:\nbasic_auth_users:\n",
        ] {
            assert!(
                parse(text.as_bytes()).is_ok_and(|it| it == Written::default()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_those_that_are() {
        refused("tls_config: {}", &["tls_config", "tls_server_config"]);
        refused(
            "tls_server_config:\n  certfile: a\n",
            &["certfile", "cert_file", "line 2"],
        );
        refused("http_server_config: {http3: true}", &["http3", "http2"]);
        refused("basic_auth_users: [a, b]", &["line 1"]);
        refused("basic_auth_users: {a: b, a: c}", &["duplicate", "a"]);
    }

    #[test]
    fn an_error_shows_no_line_of_the_file() {
        let text = "tls_server_config:\n  key: SECRET\n  kee: x\n";
        let why = parse(text.as_bytes()).err().unwrap();
        assert!(!why.contains("SECRET") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn what_is_no_file_is_refused_and_does_not_hang() {
        for path in ["/dev/zero", "/"] {
            let why = read(Path::new(path)).unwrap_err();
            assert!(why.starts_with("not a file"), "{why}");
        }
    }
}
