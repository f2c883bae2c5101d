//! Connections that end in every way, at full speed, from more threads than there are CPUs: interrupts
//! and, on some kernels, other tasks find the probes running. What no probe was shown is told, and
//! no verdict is wrong for it unless it says that it is partial.

use std::path::Path;

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::load::{Mixed, run_mixed};

use crate::cases::of_each;
use crate::coarser::replies_for_minisocks_unseen;
use crate::results::Results;
use crate::session::Session;

const LANES: u8 = 4;
const CONNECTIONS: u32 = 4000;

/// One case for each backend that tells all of these endings apart on this kernel.
pub(crate) fn cases(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut cases = of_each(session, results, "mixed", mixed);
    if replies_for_minisocks_unseen() {
        cases.retain(|case| case.name() != "mixed::tracepoint");
    }
    cases
}

fn mixed(agent: &Path, backend: &str) -> Result<()> {
    let mixed = Mixed {
        connections: CONNECTIONS,
        lanes: LANES,
        seed: None,
        backend: backend.to_owned(),
    };
    run_mixed(agent, &mixed)
}
