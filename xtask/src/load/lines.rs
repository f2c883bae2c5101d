//! The lines of an agent, as far as the load looks at them.
//!
//! Takes a file of JSON lines; gives each [`Line`] once, in order. Never keeps one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One line.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) netns: Option<u64>,
    pub(super) role: &'a str,
    local: Option<&'a str>,
    peer: Option<&'a str>,
    pub(super) ending: &'a str,
    confidence: &'a str,
}

impl Line<'_> {
    /// The own address and the peer's, as far as the line tells them.
    pub(super) fn ends(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let address = |text: Option<&str>| text?.parse().ok();
        (address(self.local), address(self.peer))
    }

    /// Whether the agent says that it missed something.
    pub(super) fn is_partial(&self) -> bool {
        self.confidence == "partial"
    }
}

/// Lets `take` have each line of the file, from the first on, with its text.
pub(super) fn each(mut file: File, mut take: impl FnMut(&Line<'_>, &str)) -> Result<()> {
    file.rewind()?;
    for text in BufReader::with_capacity(1 << 20, file).lines() {
        let text = text.context("cannot read what the agent printed")?;
        let line = serde_json::from_str(&text)
            .with_context(|| format!("not a line of the agent: {text}"))?;
        take(&line, &text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::load::nameless;

    #[test]
    fn every_line_comes_once_and_what_is_none_is_an_error() {
        let mut file = nameless().unwrap();
        for role in ["client", "server"] {
            writeln!(
                file,
                r#"{{"netns":7,"role":"{role}","local":"127.0.0.2:1","ending":"x","confidence":"partial"}}"#
            )
            .unwrap();
        }
        let mut roles = Vec::new();
        each(file.try_clone().unwrap(), |line, text| {
            assert!(line.is_partial() && text.contains(line.role));
            assert_eq!(line.ends(), (Some("127.0.0.2:1".parse().unwrap()), None));
            roles.push(line.role.to_owned());
        })
        .unwrap();
        assert_eq!(roles, ["client", "server"]);
        writeln!(file, "no JSON").unwrap();
        let error = each(file, |_, _| ()).unwrap_err();
        assert!(error.to_string().contains("no JSON"), "{error}");
    }
}
