//! What was read last, and what came of it.
//!
//! Takes a path; gives [`Rules`], made anew when the file or one that it names changes. What keeps
//! strangers out does not end with a file that is empty or cut off, such as while it is written.

use std::path::Path;
use std::sync::Arc;

use hyper::header::HeaderMap;
use tracing::{error, info};

use super::Rules;
use super::file::Gathered;
use super::users::Users;
use super::{headers, rate, tls, users};

/// What was read last, and what came of it.
pub(super) struct Last {
    gathered: Result<Gathered, String>,
    rules: Result<Arc<Rules>, Arc<str>>,
    /// Of the last rules that were right.
    settled: Option<Settled>,
}

/// What only a restart ends, and TLS, which only a restart begins.
#[derive(Clone, Copy)]
struct Settled {
    is_tls: bool,
    verifies_clients: bool,
    asks_passwords: bool,
}

impl Last {
    pub(super) fn read(path: &Path) -> Self {
        let gathered = Gathered::read(path);
        let rules = build(&gathered);
        let settled = rules.as_deref().ok().map(Settled::of);
        Self {
            gathered,
            rules,
            settled,
        }
    }

    /// What the file asks for, or what is wrong with it.
    pub(super) fn rules(&self) -> Result<Arc<Rules>, Arc<str>> {
        self.rules.clone()
    }

    /// Makes the rules anew if anything changed, and says so.
    pub(super) fn read_again(&mut self, path: &Path) {
        let gathered = Gathered::read(path);
        if gathered == self.gathered {
            return;
        }
        let rules = build(&gathered).and_then(|rules| self.settle(rules));
        let file = path.display();
        match (&self.rules, &rules) {
            (_, Err(why)) => {
                error!("web configuration {file}: {why}; nobody is served until it is mended");
            }
            (Err(_), Ok(_)) => info!("web configuration {file}: mended, and in force"),
            (Ok(_), Ok(_)) => info!("web configuration {file}: changed, and in force"),
        }
        self.gathered = gathered;
        self.rules = rules;
    }

    /// The rules, unless they need a restart.
    fn settle(&mut self, rules: Arc<Rules>) -> Result<Arc<Rules>, Arc<str>> {
        let now = Settled::of(&rules);
        let before = self.settled.unwrap_or(now);
        if let Some(why) = before.forbids(now) {
            return Err(why.into());
        }
        self.settled = Some(now);
        Ok(rules)
    }
}

impl Settled {
    fn of(rules: &Rules) -> Self {
        Self {
            is_tls: rules.tls.is_some(),
            verifies_clients: rules.verifies_clients,
            asks_passwords: !rules.users.is_empty(),
        }
    }

    /// Why the agent cannot go on by other rules.
    fn forbids(self, now: Self) -> Option<&'static str> {
        if self.is_tls && !now.is_tls {
            return Some(
                "tls_server_config is gone; put it back, or restart the agent to serve without TLS",
            );
        }
        if now.is_tls && !self.is_tls {
            return Some(
                "tls_server_config is new; leave it out, or restart the agent to serve with TLS",
            );
        }
        if self.verifies_clients && !now.verifies_clients {
            return Some(
                "client_ca_file of tls_server_config is gone; put it back, or restart the agent \
                 to serve clients without a certificate",
            );
        }
        (self.asks_passwords && !now.asks_passwords).then_some(
            "basic_auth_users is gone; put it back, or restart the agent to serve without \
             passwords",
        )
    }
}

fn build(gathered: &Result<Gathered, String>) -> Result<Arc<Rules>, Arc<str>> {
    let gathered = gathered.as_ref().map_err(|why| Arc::from(why.as_str()))?;
    rules(gathered).map(Arc::new).map_err(Arc::from)
}

fn rules(gathered: &Gathered) -> Result<Rules, String> {
    let written = &gathered.written;
    let tls = written.tls_server_config.as_ref();
    let http = written.http_server_config.as_ref();
    let headers = http.and_then(|http| http.headers.as_ref());
    let users = written.basic_auth_users.as_ref();
    let rate = written.rate_limit.as_ref();
    Ok(Rules {
        tls: tls.map_or(Ok(None), |tls| tls::build(tls, &gathered.pem))?,
        verifies_clients: gathered.pem.client_ca.is_some(),
        headers: headers.map_or_else(|| Ok(HeaderMap::new()), headers::build)?,
        users: users.map_or_else(|| Ok(Users::default()), users::build)?,
        rate: rate.map_or(Ok(None), rate::build)?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::super::tests::certificates::{Authority, Folder};
    use super::super::super::tests::secured::{TLS, users};
    use super::*;

    /// What becomes of the first file when each of the others is written; and the log.
    fn become_of(
        folder: &Folder,
        first: &str,
        others: &[&str],
    ) -> (Vec<Result<(), String>>, String) {
        let path = folder.write("web.yml", first);
        let mut last = Last::read(&path);
        last.rules().unwrap();
        let log = folder.path().join("log");
        let writer = Arc::new(File::create(&log).unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        let found = tracing::subscriber::with_default(subscriber, || {
            let read = |text: &&str| {
                folder.write("web.yml", text);
                last.read_again(&path);
                last.read_again(&path);
                last.rules().map(drop).map_err(|why| why.to_string())
            };
            others.iter().map(read).collect()
        });
        (found, std::fs::read_to_string(log).unwrap())
    }

    #[test]
    fn passwords_stay_when_the_file_is_empty_or_cut_off() {
        let folder = Folder::new();
        let (of_one, of_two) = (users(&[("a", "x")]), users(&[("a", "x"), ("b", "y")]));
        let empty = ["", "basic_auth_users:\n", "basic_auth_users: {}\n", "{}"];
        for text in empty {
            let (found, log) = become_of(&folder, &of_one, &[text, &of_two]);
            let why = found[0].clone().unwrap_err();
            assert!(
                why.contains("basic_auth_users is gone") && why.contains("restart"),
                "{why}"
            );
            assert_eq!(found[1], Ok(()));
            assert_eq!(log.matches("basic_auth_users is gone").count(), 1, "{log}");
        }
        // Users who came later stay as well.
        let (found, _) = become_of(&folder, "", &[&of_one, ""]);
        assert!(found[0].is_ok() && found[1].is_err());
    }

    #[test]
    fn tls_neither_comes_nor_goes_without_a_restart() {
        let (folder, authority) = (Folder::new(), Authority::new());
        folder.write_pair("server", &authority.signs("localhost"));
        for (first, then, word) in [("", TLS, "is new"), (TLS, "", "is gone")] {
            let (found, log) = become_of(&folder, first, &[then, first]);
            let why = found[0].clone().unwrap_err();
            for word in ["tls_server_config", word, "restart the agent"] {
                assert!(why.contains(word), "{word:?} is not in {why:?}");
            }
            assert_eq!(found[1], Ok(()));
            assert_eq!(log.matches("tls_server_config").count(), 1, "{log}");
            assert!(!log.contains("changed") && log.contains("mended"), "{log}");
        }
    }

    #[test]
    fn certificates_of_clients_are_asked_for_until_a_restart() {
        let (folder, authority) = (Folder::new(), Authority::new());
        folder.write_pair("server", &authority.signs("localhost"));
        folder.write("ca.pem", &authority.pem());
        let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
        let whole = format!("{TLS}{clients}");
        let (found, log) = become_of(&folder, &whole, &[TLS, &whole]);
        let why = found[0].clone().unwrap_err();
        assert!(
            why.contains("client_ca_file") && why.contains("restart"),
            "{why}"
        );
        assert_eq!(found[1], Ok(()));
        assert_eq!(log.matches("client_ca_file").count(), 1, "{log}");
    }
}
