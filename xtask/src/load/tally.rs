//! What an agent printed about the load, held against what was done.
//!
//! Takes a file of JSON lines and the [`Ledger`]; gives counts. Never keeps the lines.

use std::fs::File;
use std::net::SocketAddr;

use anyhow::Result;

use super::lines::{self, Line};
use super::traffic::{Entry, Ledger};

/// What one agent said.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines with role client.
    pub(super) clients: u64,
    /// Lines with role server.
    pub(super) servers: u64,
    /// Lines with role unknown.
    pub(super) unknown_roles: u64,
    /// Lines with confidence partial.
    pub(super) partial: u64,
    /// Lines about an end that another line was about.
    pub(super) twice: u64,
    /// Lines with an ending that did not happen; `unknown` is not one.
    pub(super) wrong: u64,
    /// Lines about no connection of the load.
    pub(super) foreign: u64,
    /// Ends that the agent saw from their birth, and lines that are missing or partial for them.
    pub(super) missing: u64,
    /// One of the wrong lines.
    pub(super) example: Option<String>,
}

/// What was said of both ends of one connection.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    client: End,
    server: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Nothing,
    Partial,
    Whole,
}

impl Tally {
    /// Reads what an agent printed.
    pub(super) fn of(file: File, ledger: &Ledger) -> Result<Self> {
        let mut tally = Self::default();
        let mut said = vec![Said::default(); 8 * 65_536];
        lines::each(file, |line, text| {
            let about = tally.take(line, ledger, &mut said);
            tally.foreign += u64::from(about.is_none());
            let doubtful = about.is_none_or(|entry| entry.seen && line.is_partial());
            if doubtful {
                tally.example.get_or_insert_with(|| text.to_owned());
            }
        })?;
        for (slot, _) in ledger.entries().filter(|(_, entry)| entry.seen) {
            let said = said.get(slot).copied().unwrap_or_default();
            let ends = [said.client, said.server];
            tally.missing += ends
                .iter()
                .map(|end| u64::from(*end != End::Whole))
                .sum::<u64>();
        }
        Ok(tally)
    }

    /// The connection that the line is about; `None` if the load did not make it.
    fn take(&mut self, line: &Line<'_>, ledger: &Ledger, said: &mut [Said]) -> Option<Entry> {
        let (local, peer) = line.ends();
        let (slot, entry, is_client) = find(local?, peer?, ledger)?;
        let said = said.get_mut(slot)?;
        let end = if is_client {
            &mut said.client
        } else {
            &mut said.server
        };
        match line.role {
            "client" => self.clients += 1,
            "server" => self.servers += 1,
            _ => self.unknown_roles += 1,
        }
        self.twice += u64::from(*end != End::Nothing);
        *end = if line.is_partial() {
            End::Partial
        } else {
            End::Whole
        };
        self.partial += u64::from(*end == End::Partial);

        let closed_first = entry.client_first == is_client;
        let truth = if closed_first {
            "active_close"
        } else {
            "passive_close"
        };
        let role = if is_client { "client" } else { "server" };
        let right = line.ending == truth && line.role == role;
        let knows_that_it_does_not_know = *end == End::Partial
            && (line.ending == truth || line.ending == "unknown")
            && (line.role == role || line.role == "unknown");
        if !right && !knows_that_it_does_not_know {
            self.wrong += 1;
            self.example
                .get_or_insert_with(|| format!("{line:?}, expected {role} {truth}"));
        }
        Some(entry)
    }
}

fn find(local: SocketAddr, peer: SocketAddr, ledger: &Ledger) -> Option<(usize, Entry, bool)> {
    let at = |server, client, is_client| {
        let slot = Ledger::slot(server, client)?;
        Some((slot, ledger.get(slot)?, is_client))
    };
    at(peer, local, true).or_else(|| at(local, peer, false))
}
