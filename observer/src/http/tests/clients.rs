//! Certificates that clients show.

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::certificates::{Authority, Folder, Visitor};
use super::secured::TLS;
use super::{ANYWHERE, with_config};

#[test]
fn clients_are_asked_for_certificates_as_the_types_of_go_say() {
    let (folder, authority, stranger) = (Folder::new(), Authority::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    folder.write("ca.pem", &authority.pem());
    // Type, authority; whether nothing, a stranger's and a known certificate are served.
    for (kind, with_ca, served) in [
        ("NoClientCert", false, [true, true, true]),
        ("RequestClientCert", false, [true, true, true]),
        ("RequireAnyClientCert", false, [false, true, true]),
        ("RequireClientCert", false, [false, true, true]),
        ("VerifyClientCertIfGiven", true, [true, false, true]),
        ("RequireAndVerifyClientCert", true, [false, false, true]),
    ] {
        let ca = if with_ca {
            "  client_ca_file: ca.pem\n"
        } else {
            ""
        };
        let file = folder.write("web.yml", &format!("{TLS}  client_auth_type: {kind}\n{ca}"));
        let nothing = Visitor::new(&authority);
        let unknown = nothing.showing(&stranger.signs("scraper"));
        let known = nothing.showing(&authority.signs("scraper"));
        let found = with_config(ANYWHERE, Some(&file), move |address, _, _| {
            let of = |version| {
                [&nothing, &unknown, &known].map(|it| it.speaking(version).is_served(address))
            };
            [of(&TLS12), of(&TLS13)]
        });
        assert_eq!(found, [served, served], "{kind}");
    }
}

#[test]
fn a_client_certificate_must_have_an_allowed_name() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    folder.write("ca.pem", &authority.pem());
    let text = format!(
        "{TLS}  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n  \
         client_allowed_sans: [scraper.example, 192.0.2.7]\n"
    );
    let file = folder.write("web.yml", &text);
    with_config(ANYWHERE, Some(&file), move |address, _, _| {
        let served = |name: &str| {
            let visitor = Visitor::new(&authority);
            visitor.showing(&authority.signs(name)).is_served(address)
        };
        assert!(served("scraper.example") && served("192.0.2.7"));
        assert!(!served("other.example") && !served("192.0.2.8"));
        assert!(!served("sub.scraper.example"));
    });
}

#[test]
fn a_client_shows_its_certificate_anew_on_every_connection() {
    let (folder, authority) = (Folder::new(), Authority::new());
    folder.write_pair("server", &authority.signs("localhost"));
    folder.write("ca.pem", &authority.pem());
    let asking = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n";
    for (asking, kind) in [(asking, HandshakeKind::Full), ("", HandshakeKind::Resumed)] {
        let file = folder.write("web.yml", &format!("{TLS}{asking}"));
        let visitor = Visitor::new(&authority).showing(&authority.signs("scraper"));
        let found = with_config(ANYWHERE, Some(&file), move |address, _, _| {
            [&TLS12, &TLS13].map(|version| visitor.speaking(version).comes_again(address))
        });
        // Without certificates of clients nothing is lost by it.
        assert_eq!(found, [kind, kind], "{asking:?}");
    }
}
