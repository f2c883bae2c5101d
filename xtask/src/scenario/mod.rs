//! Real sockets that end in many ways, and the truth about them.
//!
//! Takes root; gives, for each [`Scenario`], the namespace it ran in and one [`End`] for each
//! end of a connection that this host had. Checks by the kernel's own counters that what it
//! claims really happened. Never asks the agent.

pub mod alive;
pub mod clock;
pub mod endings;
pub mod forking;
pub mod framed;
pub mod net;
pub mod pair;
pub mod peer;
pub mod raw;
pub mod segment;
pub mod truth;

mod aborts;
mod backlogs;
mod challenges;
mod closes;
mod connects;
mod destroys;
mod disconnects;
mod exits;
mod families;
mod full_fin_wait2;
mod full_queues;
mod give_up;
mod half_closes;
mod handshakes;
mod held;
pub(crate) mod host;
mod ignored;
mod keepalive;
mod ktls;
mod late_data;
mod linger2;
mod linger_zero;
mod lingers;
pub mod link;
mod listeners;
mod mptcp;
mod mptcp_joins;
mod netlink;
mod netns_exit;
mod no_way;
mod orphans;
mod over_ipv6;
mod overflows;
pub(crate) mod owners;
mod path_manager;
mod peer_resets;
mod relay;
mod remains;
mod repair;
mod resets;
mod scripted;
mod shared;
pub(crate) mod shell;
mod shut_reads;
mod silence;
mod sock_diag;
mod sockets;
mod sockmaps;
mod succession;
mod tfo;
mod tfo_children;
mod time_waits;
mod unaffordable;
mod unreachable;
mod unread_closing;
mod vanish;
mod vanished;
mod zero_window;

use std::collections::BTreeMap;
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
    /// What the kernel counts beside the ends of connections.
    pub beside: &'static [Beside],
    /// Why this kernel or machine cannot make it, if it cannot.
    lacks: fn() -> Option<String>,
    /// It changes the whole host, so that nothing may run beside it.
    pub host_wide: bool,
    /// The name of that which it is the same as, but over IPv6; else its own.
    pub model: &'static str,
}

/// What a scenario makes the kernel count that belongs to no connection end: a reset for a
/// closed port, say.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// The kernel's name of the counter.
    pub counter: &'static str,
    /// How much.
    pub count: i64,
    /// Why no connection end accounts for it.
    pub reason: &'static str,
}

/// A segment for a port or connection that does not exist was answered with a reset.
const NO_SOCKET: Beside = Beside {
    counter: "OutRsts",
    count: 1,
    reason: "a reset for no socket",
};

/// A RST or SYN met a request, which is no connection yet; `EmbryonicRsts` counts it too.
const REQUEST: Beside = Beside {
    counter: "AttemptFails",
    count: 1,
    reason: "a request was dropped",
};

/// A scenario that has run.
#[derive(Debug)]
pub struct Performed {
    /// Where: keeps the namespace, hence its inode number.
    pub net: Net,
    /// The truth.
    pub ends: Vec<End>,
    /// The counters of its namespaces when all was over.
    pub counters: BTreeMap<String, i64>,
}

/// The one that takes over a minute, because `TIME_WAIT` does.
pub const SLOW: &str = "time_wait_expires";

/// All scenarios, those that take longest first.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    made().chain(over_ipv6::twins())
}

/// Those that stand in a file.
fn made() -> impl Iterator<Item = &'static Scenario> {
    [
        silence::SCENARIOS,
        give_up::SCENARIOS,
        zero_window::SCENARIOS,
        keepalive::SCENARIOS,
        orphans::SCENARIOS,
        unreachable::SCENARIOS,
        vanish::SCENARIOS,
        no_way::SCENARIOS,
        netns_exit::SCENARIOS,
        handshakes::SCENARIOS,
        challenges::SCENARIOS,
        full_queues::SCENARIOS,
        tfo::SCENARIOS,
        tfo_children::SCENARIOS,
        vanished::SCENARIOS,
        closes::SCENARIOS,
        owners::SCENARIOS,
        resets::SCENARIOS,
        scripted::SCENARIOS,
        peer_resets::SCENARIOS,
        connects::SCENARIOS,
        relay::SCENARIOS,
        aborts::SCENARIOS,
        lingers::SCENARIOS,
        linger2::SCENARIOS,
        unaffordable::SCENARIOS,
        disconnects::SCENARIOS,
        destroys::SCENARIOS,
        remains::SCENARIOS,
        listeners::SCENARIOS,
        repair::SCENARIOS,
        half_closes::SCENARIOS,
        full_fin_wait2::SCENARIOS,
        linger_zero::SCENARIOS,
        unread_closing::SCENARIOS,
        time_waits::SCENARIOS,
        exits::SCENARIOS,
        held::SCENARIOS,
        overflows::SCENARIOS,
        shut_reads::SCENARIOS,
        succession::SCENARIOS,
        backlogs::SCENARIOS,
        families::SCENARIOS,
        shared::SCENARIOS,
        ignored::SCENARIOS,
        late_data::SCENARIOS,
        ktls::SCENARIOS,
        sockmaps::SCENARIOS,
        mptcp::SCENARIOS,
        mptcp_joins::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

impl Scenario {
    const fn new(
        name: &'static str,
        about: &'static str,
        run: fn(&Net) -> Result<Vec<End>>,
    ) -> Self {
        Self {
            name,
            about,
            run,
            counters: &[],
            beside: &[],
            lacks: || None,
            host_wide: false,
            model: name,
        }
    }

    const fn counters(self, counters: &'static [(&'static str, i64)]) -> Self {
        Self { counters, ..self }
    }

    const fn beside(self, beside: &'static [Beside]) -> Self {
        Self { beside, ..self }
    }

    /// `lacks` names what is missing here, if something is: the scenario is then not applicable.
    #[must_use]
    pub const fn unless(self, lacks: fn() -> Option<String>) -> Self {
        Self { lacks, ..self }
    }

    /// It changes the whole host: nothing may run beside it, and it runs in VMs only.
    #[must_use]
    pub const fn host_wide(self) -> Self {
        Self {
            host_wide: true,
            ..self
        }
    }

    /// Why it cannot be performed here, if it cannot.
    pub fn not_applicable(&self) -> Option<String> {
        (self.lacks)()
    }

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

    /// Performs it in the calling thread's namespace, beside others. What it claims of the
    /// kernel's counters is not checked then.
    pub fn perform_in(&self, net: &Net) -> Result<Vec<End>> {
        self.run_in(net)
            .with_context(|| format!("scenario {} did not do what it claims", self.name))
    }

    fn run_in(&self, net: &Net) -> Result<Vec<End>> {
        if self.name == self.model {
            (self.run)(net)
        } else {
            (self.run)(&net.over_ipv6()?)
        }
    }

    fn perform_here(&self) -> Result<Performed> {
        let net = Net::enter()?;
        let performed = self.run_in(&net).and_then(|ends| {
            net.check_counters(self.counters)?;
            Ok((ends, net.all_counters()?))
        });
        match performed {
            Ok((ends, counters)) => Ok(Performed {
                net,
                ends,
                counters,
            }),
            Err(error) => {
                // Another scenario must not be given its inode number: what the agents say of
                // this one comes later.
                Box::leak(Box::new(net));
                Err(error)
            }
        }
    }
}

/// Whether a scenario failed because something took longer than its ceiling, or a timer of the
/// kernel less than its time.
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
