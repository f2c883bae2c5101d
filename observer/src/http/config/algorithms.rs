//! Cipher suites and curves, by the names of Go.
//!
//! Takes what the file lists; leaves the rest out of what rustls has.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

use super::file::Tls;

/// The curves of the format, and what rustls has for them.
const CURVES: [(&str, Option<NamedGroup>); 4] = [
    ("CurveP256", Some(NamedGroup::secp256r1)),
    ("CurveP384", Some(NamedGroup::secp384r1)),
    ("CurveP521", None),
    ("X25519", Some(NamedGroup::X25519)),
];

/// Keeps what is listed, in its order.
pub(super) fn choose(provider: &mut CryptoProvider, tls: &Tls) -> Result<(), String> {
    choose_suites(provider, tls)?;
    choose_curves(provider, tls)
}

/// Suites of TLS 1.2; those of 1.3 are not for choice, as in Go.
fn choose_suites(provider: &mut CryptoProvider, tls: &Tls) -> Result<(), String> {
    let Some(wanted) = tls.cipher_suites.as_ref().filter(|it| !it.is_empty()) else {
        return Ok(());
    };
    let all = &provider.cipher_suites;
    let mut chosen: Vec<SupportedCipherSuite> = all
        .iter()
        .filter(|it| it.tls13().is_some())
        .copied()
        .collect();
    for name in wanted {
        let found = all.iter().find(|it| go_name(it.suite()) == *name);
        let Some(suite) = found.copied() else {
            let names: Vec<String> = all.iter().map(|it| go_name(it.suite())).collect();
            return Err(format!(
                "tls_server_config.cipher_suites: rustls does not have {name}; choose of {}",
                names.join(", ")
            ));
        };
        if suite.tls13().is_none() {
            chosen.push(suite);
        }
    }
    provider.cipher_suites = chosen;
    Ok(())
}

/// rustls tells the suites of TLS 1.3 from the others by their names, Go does not.
fn go_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}

fn choose_curves(provider: &mut CryptoProvider, tls: &Tls) -> Result<(), String> {
    let Some(wanted) = tls.curve_preferences.as_ref().filter(|it| !it.is_empty()) else {
        return Ok(());
    };
    let mut chosen = Vec::new();
    for name in wanted {
        let curve = CURVES.iter().find(|(known, _)| known == name);
        let group = curve.and_then(|(_, group)| *group);
        let all = provider.kx_groups.iter();
        let found = all.copied().find(|it| Some(it.name()) == group);
        chosen.push(found.ok_or_else(|| {
            format!(
                "tls_server_config.curve_preferences: rustls does not have {name}; choose of \
                 CurveP256, CurveP384, X25519"
            )
        })?);
    }
    provider.kx_groups = chosen;
    Ok(())
}
