//! Certificates, files that name them, and a client that shows and checks them.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

/// A folder that goes with the test.
pub(in crate::http) struct Folder(PathBuf);

impl Folder {
    pub(in crate::http) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcp-observer-web-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(in crate::http) fn path(&self) -> &Path {
        &self.0
    }

    pub(in crate::http) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(in crate::http) fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.pem"), &pair.cert);
        self.write(&format!("{name}.key"), &pair.key);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Who signs certificates.
pub(in crate::http) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(in crate::http) struct Pair {
    pub(super) cert: String,
    pub(super) key: String,
}

impl Authority {
    pub(in crate::http) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(in crate::http) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name.
    pub(in crate::http) fn signs(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// How a client comes.
#[derive(Clone)]
pub(super) struct Visitor {
    roots: Arc<RootCertStore>,
    shows: Option<(CertificateDer<'static>, Arc<PrivateKeyDer<'static>>)>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// What it was answered, and which certificate it was shown.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) certificate: CertificateDer<'static>,
}

impl Visitor {
    /// Believes this authority, and shows nothing.
    pub(super) fn new(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        Self {
            roots: Arc::new(roots),
            shows: None,
            versions: vec![&TLS12, &TLS13],
        }
    }

    pub(super) fn showing(&self, pair: &Pair) -> Self {
        let certificate = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        Self {
            shows: Some((certificate, Arc::new(key))),
            ..self.clone()
        }
    }

    pub(super) fn speaking(&self, version: &'static SupportedProtocolVersion) -> Self {
        Self {
            versions: vec![version],
            ..self.clone()
        }
    }

    /// Asks for a path on a connection of its own.
    pub(super) fn get(&self, address: SocketAddr, path: &str) -> io::Result<Answer> {
        self.ask(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
    }

    pub(super) fn ask(&self, address: SocketAddr, request: &str) -> io::Result<Answer> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut stream = StreamOwned::new(self.connection(), socket);
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let shown = stream.conn.peer_certificates().unwrap_or_default();
        Ok(Answer {
            text,
            certificate: shown[0].clone().into_owned(),
        })
    }

    /// How the second of two connections began.
    pub(super) fn comes_again(&self, address: SocketAddr) -> HandshakeKind {
        let config = Arc::new(self.config());
        let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let kinds = [(); 2].map(|()| {
            let socket = TcpStream::connect(address).unwrap();
            let connection = ClientConnection::new(Arc::clone(&config), name()).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            stream.write_all(request).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream.conn.handshake_kind().unwrap()
        });
        kinds[1]
    }

    fn connection(&self) -> ClientConnection {
        ClientConnection::new(Arc::new(self.config()), name()).unwrap()
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        match &self.shows {
            Some((certificate, key)) => builder
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        }
    }

    /// Whether a handshake and a request go well.
    pub(super) fn is_served(&self, address: SocketAddr) -> bool {
        let answer = self.get(address, "/-/healthy");
        answer.is_ok_and(|it| it.text.starts_with("HTTP/1.1 200"))
    }
}

/// Whom every certificate of a server here is for.
fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}
