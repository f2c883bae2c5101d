//! `tcp-observer symbolize`: names the functions of stacks, for an agent that started it.
//!
//! Takes questions as one JSON array on standard input; gives one answer a line. The agent may
//! end it at any time, and it ends with the agent.

use std::io::{self, Write as _};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::symbols::{Question, resolve, symbolizer};

/// Symbols of large programs take tens of megabytes.
const MEMORY: u64 = 1 << 30;

/// Answers all questions.
pub(super) fn symbolize() -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot end with the agent")?;
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    setrlimit(Resource::Data, limit).context("cannot bound the memory")?;
    let questions: Vec<Question> =
        serde_json::from_reader(io::stdin()).context("no questions on standard input")?;
    let symbolizer = symbolizer();
    let mut output = io::stdout().lock();
    for question in &questions {
        let answer = serde_json::to_vec(&resolve(&symbolizer, question))?;
        output.write_all(&answer)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}
