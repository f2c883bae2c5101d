//! TLS as the file asks for it.
//!
//! Takes keys and certificates; gives what a handshake is made with. Names are those of Go, which
//! exporters use; what rustls does not have is refused, never left out.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::file::{Found, Pem, Tls};
use super::{algorithms, client};

/// What the server speaks inside, so that a client that offers HTTP/2 too takes what there is.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// `None` where the file asks for no TLS.
pub(super) fn build(tls: &Tls, pem: &Pem) -> Result<Option<Arc<ServerConfig>>, String> {
    if *tls == Tls::default() {
        return Ok(None);
    }
    let missing = |key: &str| {
        format!(
            "tls_server_config: without {key} nothing can be encrypted; give it, or leave the section out"
        )
    };
    let cert = pem.cert.as_ref().ok_or_else(|| missing("cert_file"))?;
    let key = pem.key.as_ref().ok_or_else(|| missing("key_file"))?;
    let certs = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_slice(&key.bytes)
        .map_err(|error| format!("{}: no private key in PEM: {error}", key.key))?;
    let versions = versions(tls)?;
    let mut provider = ring::default_provider();
    algorithms::choose(&mut provider, tls)?;
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| format!("tls_server_config.cipher_suites: {error}"))?;
    let verifier = client::verifier(tls, pem, &provider)?;
    let asks_clients = verifier.is_some();
    let verifier = verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
    let builder = builder.with_client_cert_verifier(verifier);
    let unfit = |error| {
        let (key, cert) = (&key.key, &cert.key);
        format!("{key}: {error}; give the key of the certificate in {cert}")
    };
    let mut config = builder.with_single_cert(certs, private).map_err(unfit)?;
    if asks_clients {
        // A session that is taken up again asks for no certificate, so one that expired would live on.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.ignore_client_order = tls.prefer_server_cipher_suites.unwrap_or(true);
    Ok(Some(Arc::new(config)))
}

fn certificates(found: &Found) -> Result<Vec<CertificateDer<'static>>, String> {
    let of = |why: &str| format!("{}: {why}", found.key);
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&found.bytes).collect();
    let certs = read.map_err(|error| of(&format!("not PEM: {error}")))?;
    if certs.is_empty() {
        return Err(of("no certificate in PEM in it"));
    }
    Ok(certs)
}

fn versions(tls: &Tls) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let least = version("min_version", tls.min_version.as_deref().unwrap_or("TLS12"))?;
    let most = version("max_version", tls.max_version.as_deref().unwrap_or("TLS13"))?;
    match (least, most) {
        (12, 12) => Ok(vec![&TLS12]),
        (12, _) => Ok(vec![&TLS13, &TLS12]),
        (_, 13) => Ok(vec![&TLS13]),
        _ => Err("tls_server_config.max_version: below min_version".to_owned()),
    }
}

fn version(key: &str, name: &str) -> Result<u8, String> {
    let of = |why: &str| format!("tls_server_config.{key}: {name} {why}; choose TLS12 or TLS13");
    match name {
        "TLS12" => Ok(12),
        "TLS13" => Ok(13),
        "TLS10" | "TLS11" => Err(of("is not safe, and rustls does not have it")),
        _ => Err(of("is not a version")),
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    fn found(key: &str, text: String) -> Found {
        Found {
            key: key.to_owned(),
            bytes: text.into_bytes(),
        }
    }

    fn pem() -> Pem {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Pem {
            cert: Some(found("cert_file", made.cert.pem())),
            key: Some(found("key", made.signing_key.serialize_pem())),
            client_ca: None,
        }
    }

    /// With a certificate, so that only what is tried can be wrong.
    fn tls() -> Tls {
        Tls {
            cert_file: Some("x".to_owned()),
            key_file: Some("x".to_owned()),
            ..Tls::default()
        }
    }

    fn refused(tls: &Tls, pem: &Pem, words: &[&str]) {
        let why = build(tls, pem).unwrap_err();
        for word in words {
            assert!(why.contains(word), "{word:?} is not in {why:?}");
        }
    }

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_named() {
        assert!(build(&Tls::default(), &Pem::default()).unwrap().is_none());
        let none = Pem::default();
        let only_version = Tls {
            min_version: Some("TLS13".to_owned()),
            ..Tls::default()
        };
        refused(
            &only_version,
            &none,
            &["cert_file", "leave the section out"],
        );
        let (one, other) = (pem(), pem());
        let with = |cert: &Pem, key: Option<&Found>| Pem {
            key: key.cloned(),
            ..cert.clone()
        };
        refused(&tls(), &with(&one, None), &["key_file"]);
        refused(
            &tls(),
            &with(&one, other.key.as_ref()),
            &["key: ", "cert_file"],
        );
        refused(
            &tls(),
            &with(&one, one.cert.as_ref()),
            &["cert_file: no private key"],
        );
        let swapped = Pem {
            cert: one.key.clone(),
            ..one.clone()
        };
        refused(&tls(), &swapped, &["key: no certificate"]);
        assert!(build(&tls(), &one).unwrap().is_some());
    }

    #[test]
    fn versions_that_rustls_does_not_have_are_refused() {
        for (key, name) in [("min_version", "TLS10"), ("min_version", "TLS11")] {
            let tls = Tls {
                min_version: Some(name.to_owned()),
                ..tls()
            };
            refused(&tls, &pem(), &[key, name, "TLS12 or TLS13"]);
        }
        let upside_down = Tls {
            min_version: Some("TLS13".to_owned()),
            max_version: Some("TLS12".to_owned()),
            ..tls()
        };
        refused(&upside_down, &pem(), &["max_version"]);
        let unknown = Tls {
            max_version: Some("1.3".to_owned()),
            ..tls()
        };
        refused(&unknown, &pem(), &["max_version", "1.3"]);
    }

    #[test]
    fn suites_and_curves_go_by_the_names_of_go() {
        let chosen = Tls {
            cipher_suites: Some(list(&[
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_AES_128_GCM_SHA256",
            ])),
            curve_preferences: Some(list(&["CurveP384", "X25519"])),
            ..tls()
        };
        let config = build(&chosen, &pem()).unwrap().unwrap();
        let suites = &config.crypto_provider().cipher_suites;
        assert_eq!(suites.iter().filter(|it| it.tls13().is_none()).count(), 1);
        assert_eq!(suites.len(), 4);
        let groups = config
            .crypto_provider()
            .kx_groups
            .iter()
            .map(|it| it.name());
        assert_eq!(
            groups.collect::<Vec<_>>(),
            [NamedGroup::secp384r1, NamedGroup::X25519]
        );
        let cbc = Tls {
            cipher_suites: Some(list(&["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"])),
            ..tls()
        };
        refused(
            &cbc,
            &pem(),
            &["cipher_suites", "CBC_SHA", "TLS_AES_128_GCM_SHA256"],
        );
        let p521 = Tls {
            curve_preferences: Some(list(&["CurveP521"])),
            ..tls()
        };
        refused(&p521, &pem(), &["curve_preferences", "CurveP521", "X25519"]);
        let of_13_only = Tls {
            cipher_suites: Some(list(&["TLS_AES_128_GCM_SHA256"])),
            max_version: Some("TLS12".to_owned()),
            ..tls()
        };
        refused(&of_13_only, &pem(), &["cipher_suites"]);
    }
}
