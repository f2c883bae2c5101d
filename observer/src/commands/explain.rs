//! `tcp-observer explain`: what an ending means. Reads nothing of the host.

use std::io::Write as _;

use anyhow::Context as _;

use crate::cli::Explain;
use crate::sink::explain;

/// Prints one ending in full, or the list of them.
pub(super) fn explain(arguments: &Explain) -> anyhow::Result<()> {
    let text = match (arguments.ending, arguments.json) {
        (Some(ending), false) => explain::text(ending),
        (None, false) => explain::list(),
        (Some(ending), true) => explain::json::page(ending).context("cannot print JSON")?,
        (None, true) => explain::json::list().context("cannot print JSON")?,
    };
    // A reader such as `head` may have seen enough.
    drop(std::io::stdout().write_all(text.as_bytes()));
    Ok(())
}
