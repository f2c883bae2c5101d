//! Real sockets that end in every known way, and the truth about them.
//!
//! Takes root; gives, for each [`Scenario`], the namespace it ran in and one [`End`] for each
//! end of a connection that this host had. Checks by the kernel's own counters that what it
//! claims really happened. Never asks the agent.

pub mod clock;
pub mod net;
pub mod pair;
pub mod peer;
pub mod segment;
pub mod truth;

mod closes;
mod connects;
mod netlink;
mod owners;
mod peer_resets;
mod relay;
mod resets;
mod scripted;
mod silence;

use std::io::{self, ErrorKind};
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use net::Net;
use truth::End;

/// One way for connections to end.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name in test output.
    pub name: &'static str,
    /// What is done, in a few words.
    pub about: &'static str,
    /// Does it; gives the truth.
    run: fn(&Net) -> Result<Vec<End>>,
    /// Counters of its namespace afterwards.
    counters: &'static [(&'static str, i64)],
}

/// A scenario that has run.
#[derive(Debug)]
pub struct Performed {
    /// Where: keeps the namespace, hence its inode number.
    pub net: Net,
    /// The truth.
    pub ends: Vec<End>,
}

/// The one that takes over a minute, because `TIME_WAIT` does.
pub const SLOW: &str = "time_wait_expires";

/// All scenarios, those that take longest first.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        silence::SCENARIOS,
        closes::SCENARIOS,
        owners::SCENARIOS,
        resets::SCENARIOS,
        scripted::SCENARIOS,
        peer_resets::SCENARIOS,
        connects::SCENARIOS,
        relay::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

impl Scenario {
    /// Performs it in a namespace of its own. The error of a scenario that did not do what it
    /// claims never names the agent.
    pub fn perform(&self) -> Result<Performed> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name(self.name.chars().take(15).collect())
                .spawn_scoped(scope, || self.perform_here())?
                .join()
                .map_err(|_panic| anyhow!("scenario {} panicked", self.name))?
        })
        .with_context(|| format!("scenario {} did not do what it claims", self.name))
    }

    fn perform_here(&self) -> Result<Performed> {
        let net = Net::enter()?;
        let ends = (self.run)(&net)?;
        net.check_counters(self.counters)?;
        Ok(Performed { net, ends })
    }
}

/// Whether a scenario failed because something took longer than its ceiling.
pub fn timed_out(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        // A socket whose read ceiling passes says EAGAIN; `wait_for` says how long it waited.
        matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
            || waited_seconds(&cause.to_string())
    })
}

fn waited_seconds(text: &str) -> bool {
    let rest = text.strip_prefix("waited ");
    rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::bail;

    use super::*;

    #[test]
    fn a_passed_ceiling_is_told_from_another_error() {
        let late = clock::wait_for("nothing", Duration::ZERO, || Ok(None::<()>))
            .context("it did not do what it claims")
            .unwrap_err();
        assert!(timed_out(&late), "{late:#}");
        let read: Result<()> = Err(io::Error::from(ErrorKind::WouldBlock)).context("cannot read");
        assert!(timed_out(&read.unwrap_err()));
        let other = || -> Result<()> { bail!("waited for control bits 0x11, got a RST") };
        assert!(!timed_out(&other().unwrap_err()));
    }
}
