//! What the agent printed about the mixed load, held against what was done.
//!
//! Takes a file of JSON lines and the [`Ledger`]; gives counts. Never keeps the lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;

use anyhow::Result;

use super::super::lines::{self, Line};
use super::deal::{Ledger, is_client};

/// What the agent said.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines about this namespace.
    pub(super) lines: u64,
    /// Those with another ending or role than what was done, but for partial ones.
    pub(super) wrong: u64,
    /// Those with confidence partial.
    pub(super) partial: u64,
    /// Partial ones with another ending or role.
    pub(super) doubtful: u64,
    /// Partial ones that say that the ending is unknown.
    pub(super) undecided: u64,
    /// Those about an end that another line was about.
    pub(super) twice: u64,
    /// Those about no end that was made.
    pub(super) foreign: u64,
    /// Ends without a line.
    pub(super) missing: u64,
    /// Ends that were made, and lines, by ending and role.
    pub(super) totals: BTreeMap<(&'static str, &'static str), (u64, u64)>,
    /// Some of the odd lines.
    pub(super) examples: Vec<String>,
}

const ROLES: [&str; 2] = ["client", "server"];
const EXAMPLES: usize = 5;
/// The ending where an event is wanting without which it cannot be told.
const UNKNOWN: &str = "unknown";

impl Tally {
    /// Reads what the agent printed of one namespace.
    pub(super) fn of(file: File, netns: u64, ledger: &Ledger) -> Result<Self> {
        let mut tally = Self::default();
        let mut said: BTreeMap<(SocketAddr, &str), u64> = BTreeMap::new();
        for (client, deal) in &ledger.deals {
            for (role, ending) in ROLES.into_iter().zip([deal.client, deal.server]) {
                if let Some(ending) = ending {
                    tally.totals.entry((ending, role)).or_default().0 += 1;
                    said.insert((*client, role), 0);
                }
            }
        }
        lines::each(file, |line, text| {
            if line.netns == Some(netns) && !tally.take(line, ledger, &mut said) {
                tally.example(text.to_owned());
            }
        })?;
        for ((client, role), _) in said.into_iter().filter(|(_, count)| *count == 0) {
            tally.missing += 1;
            tally.example(format!("nothing of the {role} of {client}"));
        }
        Ok(tally)
    }

    /// Whether the line is as it must be.
    fn take(
        &mut self,
        line: &Line<'_>,
        ledger: &Ledger,
        said: &mut BTreeMap<(SocketAddr, &str), u64>,
    ) -> bool {
        self.lines += 1;
        let (client, role) = match line.ends() {
            (Some(local), _) if is_client(local) => (Some(local), "client"),
            (_, peer) => (peer, "server"),
        };
        let deal = client.and_then(|client| ledger.deals.get(&client));
        let truth = deal.and_then(|deal| match role {
            "client" => deal.client,
            _ => deal.server,
        });
        let (Some(client), Some(truth)) = (client, truth) else {
            self.foreign += 1;
            return false;
        };
        let count = said.entry((client, role)).or_default();
        *count += 1;
        let twice = *count > 1;
        self.twice += u64::from(twice);
        let partial = line.is_partial();
        self.partial += u64::from(partial);
        let right = line.ending == truth && line.role == role;
        if right {
            self.totals.entry((truth, role)).or_default().1 += 1;
        }
        self.wrong += u64::from(!right && !partial);
        let undecided = partial && line.ending == UNKNOWN && line.role == role;
        self.undecided += u64::from(undecided);
        self.doubtful += u64::from(!right && partial && !undecided);
        right && !partial && !twice
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::super::deal::Deal;
    use super::*;
    use crate::load::nameless;

    fn tally(lines: &[(&str, &str, &str)]) -> Tally {
        let (client, server) = ("127.0.0.2:20000", "127.0.0.2:5000");
        let deal = Deal {
            client: Some("peer_reset"),
            server: Some("reset_linger_zero"),
        };
        let mut ledger = Ledger::default();
        ledger.deals.insert(client.parse().unwrap(), deal);
        let mut file = nameless().unwrap();
        for (role, ending, confidence) in lines {
            let (local, peer) = if *role == "client" {
                (client, server)
            } else {
                (server, client)
            };
            let line = json!({"netns": 7, "role": role, "local": local, "peer": peer,
                "ending": ending, "confidence": confidence});
            writeln!(file, "{line}").unwrap();
        }
        writeln!(
            file,
            r#"{{"netns":8,"role":"","ending":"","confidence":""}}"#
        )
        .unwrap();
        Tally::of(file, 7, &ledger).unwrap()
    }

    const CLIENT: (&str, &str, &str) = ("client", "peer_reset", "exact");
    const SERVER: (&str, &str, &str) = ("server", "reset_linger_zero", "inferred");

    #[test]
    fn one_right_line_for_each_end_is_right() {
        let right = tally(&[CLIENT, SERVER]);
        assert_eq!((right.lines, right.missing, right.wrong), (2, 0, 0));
        assert_eq!((right.twice, right.foreign, right.partial), (0, 0, 0));
        assert_eq!(
            right.totals.values().copied().collect::<Vec<_>>(),
            [(1, 1), (1, 1)]
        );
    }

    #[test]
    fn a_line_too_few_too_many_or_wrong_is_told() {
        assert_eq!(tally(&[CLIENT]).missing, 1);
        assert_eq!(tally(&[CLIENT, SERVER, SERVER]).twice, 1);
        assert_eq!(tally(&[CLIENT, ("server", "peer_reset", "exact")]).wrong, 1);
        let doubtful = tally(&[CLIENT, ("server", "peer_reset", "partial")]);
        assert_eq!((doubtful.wrong, doubtful.partial), (0, 1));
        assert_eq!((doubtful.doubtful, doubtful.undecided), (1, 0));
        let undecided = tally(&[CLIENT, ("server", "unknown", "partial")]);
        assert_eq!((undecided.wrong, undecided.partial), (0, 1));
        assert_eq!((undecided.doubtful, undecided.undecided), (0, 1));
        assert_eq!(tally(&[CLIENT, ("server", "unknown", "exact")]).wrong, 1);
    }
}
