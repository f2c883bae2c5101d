//! The names of a client's certificate.
//!
//! Takes a certificate; gives what its Subject Alternative Name says, as Go writes it.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The names of a certificate: hosts, mail and network addresses, and URIs.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let found = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>();
    let Some((_, names)) = found.ok()? else {
        return Some(Vec::new());
    };
    Some(names.0.iter().filter_map(name).collect())
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(name)
        | GeneralName::DnsName(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|it| it.to_string()),
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|it| IpAddr::from(it).to_canonical()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_read_as_go_writes_them() {
        let mut params = CertificateParams::new(vec!["scraper.example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example/scraper".try_into().unwrap()),
        ]);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut found = names(certificate.der()).unwrap();
        found.sort();
        let mut expected = [
            "scraper.example",
            "192.0.2.1",
            "2001:db8::1",
            "ops@example.org",
            "spiffe://example/scraper",
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
        let bare = CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        assert_eq!(names(bare.der()), Some(Vec::new()));
        assert_eq!(names(&CertificateDer::from_slice(b"x")), None);
    }
}
