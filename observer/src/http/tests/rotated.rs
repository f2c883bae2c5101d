//! What changes in the files while the agent serves by them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::certificates::{Authority, Folder, Visitor};
use super::secured::{TLS, as_user, users};
use super::{ANYWHERE, ask, get, with_config};

#[test]
fn a_rotated_certificate_is_served_at_once_and_a_wrong_one_never() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (old, new) = (authority.signs("localhost"), authority.signs("localhost"));
    folder.write_pair("server", &old);
    let file = folder.write("web.yml", TLS);
    let visitor = Visitor::new(&authority);
    with_config(ANYWHERE, Some(&file.clone()), move |address, _, _| {
        let shown = || {
            visitor
                .get(address, "/-/healthy")
                .ok()
                .map(|it| it.certificate)
        };
        let before = shown().unwrap();
        // Between the two writes nothing fits, and nobody is served what does not.
        folder.write("server.pem", &new.cert);
        assert_eq!(shown(), None);
        folder.write("server.key", &new.key);
        let after = shown().unwrap();
        assert_ne!(before, after);
        std::fs::remove_file(folder.path().join("server.key")).unwrap();
        assert_eq!(shown(), None);
        folder.write_pair("server", &old);
        assert_eq!(shown().unwrap(), before);
        // TLS does not go away while the agent runs.
        std::fs::write(&file, "").unwrap();
        assert_eq!(shown(), None);
        let plain = get(address, "/metrics");
        assert!(plain.starts_with("HTTP/1.0 400"), "{plain}");
    });
}

#[test]
fn users_and_headers_change_on_connections_that_are_open() {
    let folder = Folder::new();
    // A hash takes its time, and a connection may not idle for long.
    let (old, new) = (
        users(&[("prometheus", "old")]),
        users(&[("prometheus", "new")]),
    );
    let file = folder.write("web.yml", &old);
    with_config(ANYWHERE, Some(&file), move |address, _, _| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut head = |password: &str| {
            let asked =
                as_user("/nothing", "prometheus", password).replace("Connection: close\r\n", "");
            stream.write_all(asked.as_bytes()).unwrap();
            let mut answer = [0; 4096];
            let read = stream.read(&mut answer).unwrap();
            String::from_utf8(answer[..read].to_vec()).unwrap()
        };
        assert!(head("old").starts_with("HTTP/1.1 404"));
        let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
        folder.write("web.yml", &(new.clone() + headers));
        let refused = head("old");
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        assert!(refused.contains("x-frame-options: deny"), "{refused}");
        assert!(head("new").starts_with("HTTP/1.1 404"));

        folder.write("web.yml", "basic_auth_user: {}\n");
        let broken = head("new");
        assert!(
            broken.starts_with("HTTP/1.1 500") && !broken.contains("basic_auth"),
            "{broken}"
        );
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 500"));
        assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
        folder.write("web.yml", &new);
        assert!(head("new").starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn an_empty_file_lets_nobody_in_where_a_password_was_asked() {
    let folder = Folder::new();
    let text = users(&[("prometheus", "right")]);
    let file = folder.write("web.yml", &text);
    with_config(ANYWHERE, Some(&file), move |address, _, _| {
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 401"));
        for cut in ["", "basic_auth_users:\n"] {
            folder.write("web.yml", cut);
            let right = as_user("/metrics", "prometheus", "right");
            for answer in [get(address, "/metrics"), ask(address, &right)] {
                assert!(answer.starts_with("HTTP/1.1 500"), "{cut:?}: {answer}");
            }
            assert!(get(address, "/-/healthy").starts_with("HTTP/1.1 200"));
            folder.write("web.yml", &text);
            assert!(ask(address, &right).starts_with("HTTP/1.1 200"));
        }
    });
}
