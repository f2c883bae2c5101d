//! Certificates for one run.
//! Takes a folder, writes an authority, the agent's certificate and a scraper's
//! into it; nothing outlives the folder.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Writes `NAME.pem` of the authority.
    pub(super) fn write(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join(format!("{name}.pem")), authority.pem())?;
        Ok(Self(authority))
    }

    /// Writes `FILE.pem` and `FILE.key` for a name.
    pub(super) fn sign(&self, name: &str, folder: &Path, file: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec![name.to_owned()])?;
        let certificate = params.signed_by(&key, &self.0)?;
        fs::write(folder.join(format!("{file}.pem")), certificate.pem())?;
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem())?;
        Ok(())
    }
}
