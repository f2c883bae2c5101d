//! Which certificates clients must show.
//!
//! Takes the type of client authentication, by the names of Go, an authority and the names that
//! are allowed; gives what judges a client's certificate.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::file::{Found, Pem, Tls, is_set};
use super::names::names;

/// What clients must show; the last two are judged by the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    Nothing,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// The names, the one of older files included.
const DEMANDS: [(&str, Demand); 6] = [
    ("NoClientCert", Demand::Nothing),
    ("RequestClientCert", Demand::Request),
    ("RequireAnyClientCert", Demand::RequireAny),
    ("RequireClientCert", Demand::RequireAny),
    ("VerifyClientCertIfGiven", Demand::VerifyIfGiven),
    ("RequireAndVerifyClientCert", Demand::RequireAndVerify),
];

/// What to do where a certificate would be asked for and never verified.
const VERIFY: &str = "set client_auth_type to RequireAndVerifyClientCert, or leave it out";

/// What judges clients; `None` where they are not asked for a certificate.
pub(super) fn verifier(
    tls: &Tls,
    pem: &Pem,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let demand = demand(tls)?;
    let is_required = matches!(demand, Demand::RequireAny | Demand::RequireAndVerify);
    let verifies = matches!(demand, Demand::VerifyIfGiven | Demand::RequireAndVerify);
    if tls.client_allowed_sans.is_some() && !(is_required && verifies) {
        return Err(format!(
            "tls_server_config.client_allowed_sans: a name says who a client is only in a \
             certificate that is required and verified; {VERIFY}"
        ));
    }
    let authority = match (&pem.client_ca, verifies) {
        (Some(ca), false) => {
            let key = &ca.key;
            return Err(format!("{key}: no certificate is verified by it; {VERIFY}"));
        }
        (Some(ca), true) => Some(authority(ca, is_required, provider)?),
        (None, true) => {
            return Err(
                "tls_server_config.client_auth_type: nobody is named who signs \
                        certificates of clients; give client_ca_file"
                    .to_owned(),
            );
        }
        (None, false) => None,
    };
    if demand == Demand::Nothing {
        return Ok(None);
    }
    Ok(Some(Arc::new(Judge {
        authority,
        is_required,
        sans: tls.client_allowed_sans.clone(),
        provider: Arc::clone(provider),
    })))
}

fn demand(tls: &Tls) -> Result<Demand, String> {
    let Some(name) = is_set(tls.client_auth_type.as_ref()) else {
        return Ok(Demand::Nothing);
    };
    let found = DEMANDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, demand)| *demand).ok_or_else(|| {
        let names = DEMANDS.map(|(known, _)| known).join(", ");
        format!("tls_server_config.client_auth_type: {name} is not one of {names}")
    })
}

fn authority(
    found: &Found,
    is_required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let of = |why: String| format!("{}: {why}", found.key);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&found.bytes) {
        let certificate = certificate.map_err(|error| of(format!("not PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| of(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(of("no certificate in PEM in it".to_owned()));
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|error| of(error.to_string()))
        .map(|it| {
            let it: Arc<dyn ClientCertVerifier> = it;
            it
        })
}

/// Judges certificates as the file says.
#[derive(Debug)]
struct Judge {
    /// `None`: whoever signed it is as good as any other.
    authority: Option<Arc<dyn ClientCertVerifier>>,
    is_required: bool,
    /// Names of which a certificate must have one.
    sans: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Judge {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        let authority = self.authority.as_ref();
        authority.map_or(&[], |it| it.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(authority) = &self.authority {
            authority.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.sans {
            let names = names(end_entity).ok_or(CertificateError::BadEncoding)?;
            if !names.iter().any(|name| allowed.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: &str = "RequireAndVerifyClientCert";

    fn refused(kind: &str, sans: bool, ca: Option<&[u8]>) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = Tls {
            client_auth_type: Some(kind.to_owned()),
            client_allowed_sans: sans.then(Vec::new),
            ..Tls::default()
        };
        let pem = Pem {
            client_ca: ca.map(|ca| Found {
                key: "tls_server_config.client_ca".to_owned(),
                bytes: ca.to_vec(),
            }),
            ..Pem::default()
        };
        verifier(&tls, &pem, &provider).unwrap_err()
    }

    #[test]
    fn what_would_ask_nobody_or_trust_nobody_is_refused_with_a_remedy() {
        let (no_ca, no_pem) = (None, Some(&b"no PEM"[..]));
        let (ca, kind, sans) = ("client_ca: ", "client_auth_type: ", "client_allowed_sans: ");
        for (asked, with_sans, pem, named, remedy) in [
            ("Always", false, no_ca, kind, "RequestClientCert"),
            (BEST, false, no_ca, kind, "client_ca_file"),
            (BEST, false, no_pem, ca, "PEM"),
            ("NoClientCert", false, no_pem, ca, BEST),
            ("RequestClientCert", false, no_pem, ca, BEST),
            ("RequireAnyClientCert", false, no_pem, ca, BEST),
            ("NoClientCert", true, no_ca, sans, BEST),
            ("RequireAnyClientCert", true, no_ca, sans, BEST),
            ("VerifyClientCertIfGiven", true, no_pem, sans, BEST),
        ] {
            let why = refused(asked, with_sans, pem);
            assert!(
                why.contains(named) && why.contains(remedy),
                "{asked}: {why}"
            );
        }
    }
}
