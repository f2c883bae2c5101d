//! A leak in a real container.

use anyhow::Result;
use libtest_mimic::Completion;
use xtask::served::container::Container;
use xtask::watching::Watching;

use crate::stage::Stage;

/// Its id is told, and its process by the pid that it has on this host.
pub(crate) fn named(stage: &Stage) -> Result<Completion> {
    if !Container::is_possible() {
        return Ok(Completion::ignored_with("there is no runc here"));
    }
    let container = Container::start(&stage.folder, &stage.net)?;
    let watching = Watching::start(&stage.agent, &[])?;
    stage.told(&watching, &container.leak(&stage.net)?)?;
    container.end()?;
    stage.quiet(&watching)?;
    Ok(Completion::Completed)
}
